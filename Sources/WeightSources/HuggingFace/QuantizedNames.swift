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
  /// Files in which programs that quantise keep their settings, and where in them the method is named.
  private static let sideFiles: [(name: String, method: [String], fallback: String)] = [
    ("hf_quant_config.json", ["quantization", "quant_algo"], "ModelOpt"), ("quantize_config.json", ["quant_method"], "GPTQ"),
    ("quant_config.json", ["quant_method"], "AWQ"), ("quant_cfg.json", ["quant_algo"], "ModelOpt"),
    ("gptq_config.json", [], "GPTQ"), ("awq_config.json", [], "AWQ"), ("quant_log.csv", [], "GPTQ"),
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
    for key in ["quantization_config", "compression_config", "quantization"] {
      guard let settings = survey.config?[key], settings.object != nil else { continue }
      return (settings["quant_method"]?.string ?? key, "config.json")
    }
    for (name, path, fallback) in sideFiles where survey.has(name) {
      let json = (try? ReadableFile.contents(of: survey.path.appending(name))).flatMap { try? JSONValue(parsing: $0, allowsNonFinite: true) }
      let value = path.reduce(json) { $0?[$1] }
      return (value?.string.map { String($0.prefix(40)) } ?? fallback, name)
    }
    return (nil, "")
  }
}
