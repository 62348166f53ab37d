import Files
import JSON
import Tensors

extension SourceModel {
  /// Refuses weights that the configuration calls quantised. (Those whose tensors show it were refused before.)
  static func refuseQuantized(
    _ config: ConfigReader, _ directory: HuggingFaceDirectory, _ warnings: inout [SourceWarning]
  ) throws(WeightSourceError) {
    for key in QuantizationMarks.keys {
      guard let value = config.value(key), !value.isNull, value.object?.isEmpty != true else { continue }
      // A method that quantises when a model is loaded, and is asked not to.
      if value["quant_method"] == "bitsandbytes", ["load_in_4bit", "load_in_8bit"].allSatisfy({ value[$0] == nil || value[$0] == false }),
        value["load_in_4bit"] != nil || value["load_in_8bit"] != nil
      {
        continue
      }
      let method = value["quant_method"]?.string ?? value["bits"]?.int.map { "\($0) bits" } ?? "of an unknown kind"
      throw config.failed(key, "says that the weights are quantised (\(method)), which is not supported. Use the unquantised model")
    }
    let file = QuantizationMarks.files.first { Directory.kind(of: directory.path.appending($0.name)) == .file }
    if let file = file?.name {
      warnings.append(SourceWarning(file, in: directory.path.string, "describes quantised weights, but the tensors are plain: it is not used"))
    }
  }
}
