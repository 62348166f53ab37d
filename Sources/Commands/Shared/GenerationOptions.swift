import ArgumentParser
import Tokenizers

/// `--generation_config`: whether a model's own sampling settings are the defaults.
struct GenerationOptions: ParsableArguments {
  enum Use: String, ExpressibleByArgument, CaseIterable {
    case asPublished = "auto"
    case unused = "none"
  }

  @Option(
    name: .customLong("generation_config"),
    help: ArgumentHelp(
      "auto: where temperature, top_k, top_p, min_p or repetition_penalty is not given, that of the model's generation_config.json counts.",
      valueName: "use"))
  var use: Use = .unused

  /// - Throws: For settings with which no token can be chosen.
  func defaults(of model: OpenedModel, _ log: CommandLog) throws -> SamplingDefaults {
    guard use == .asPublished else { return SamplingDefaults() }
    let defaults: SamplingDefaults
    do throws(TokenizerError) { defaults = try model.samplingDefaults.get() } catch {
      throw CommandFailure("--generation_config: \(error) Mend it, or leave the flag out and give the values by hand.")
    }
    let text = defaults.description
    log.info(
      text.isEmpty
        ? "generation_config.json says nothing of sampling: --generation_config auto changes nothing"
        : "defaults of generation_config.json: \(text)")
    return defaults
  }
}
