import Files
import JSON
import SystemPackage
import Tensors

/// Tells quantised weights by their tensors' names, also where `config.json` does not say it.
enum QuantizedNames {
  /// Ends of names that only quantised weights have.
  private static let endings = [
    ".qweight", ".qzeros", ".weight_scale", ".weight_scale_inv", ".weight_scale_2", ".input_scale", ".weight_packed", ".weight_shape", ".g_idx",
    ".SCB", ".absmax", ".quant_map", ".q_weight", ".q_scale", ".trellis", ".scales", ".weight_zero_point", ".k_scale", ".v_scale", ".k_proj.output_scale",
    ".v_proj.output_scale",
  ]
  /// - Throws: ``WeightSourceError`` with the method and the file that names it.
  static func refuse(_ directory: HuggingFaceDirectory, _ survey: DirectorySurvey) throws(WeightSourceError) {
    let found = directory.names.filter { name in endings.contains { name.hasSuffix($0) } }
    guard let first = found.first else { return }
    let (method, file) = method(survey)
    let by = method.map { " (\($0), says \(file))" } ?? ""
    throw WeightSourceError(
      directory.origin,
      .found(
        "the weights are quantised\(by): \(found.count) tensor\(found.count == 1 ? "" : "s") such as \(NameSummary([first])), which is not supported",
        remedy: "Use the unquantised model, or a GGUF file of it."))
  }

  private static func method(_ survey: DirectorySurvey) -> (String?, file: String) {
    for key in QuantizationMarks.keys {
      guard let settings = survey.config?[key], settings.object != nil else { continue }
      return (settings["quant_method"]?.string ?? key, "config.json")
    }
    for file in QuantizationMarks.files where survey.has(file.name) {
      let json = (try? ReadableFile.contents(of: survey.path.appending(file.name))).flatMap { try? JSONValue(parsing: $0, allowsNonFinite: true) }
      let value = file.method.reduce(json) { $0?[$1] }
      return (value?.string.map { String($0.prefix(40)) } ?? file.fallback, file.name)
    }
    return (nil, "")
  }
}
