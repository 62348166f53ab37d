import Foundation
import SystemPackage
import TestSupport

/// The tiny model and its adapter cut down to their first layer, so that a command makes few enough calls for a fault
/// at every single one of them.
enum OneLayer {
  static let models = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent().appending("Models")

  static func writeModel(_ directory: TemporaryDirectory, _ name: String) throws -> FilePath {
    try copy("tiny", directory, name, weights: "model.safetensors")
    let path = directory(name).appending("config.json")
    var config = try JSONSerialization.jsonObject(with: Data(contents(path) ?? [])) as? [String: Any] ?? [:]
    config["num_hidden_layers"] = 1
    directory.write("\(name)/config.json", Array(try JSONSerialization.data(withJSONObject: config)))
    return directory(name)
  }
  static func writeAdapter(_ directory: TemporaryDirectory, _ name: String) throws -> FilePath {
    try copy("tiny-lora", directory, name, weights: "adapter_model.safetensors")
    return directory(name)
  }

  /// All files; of the weights only those of layer 0 and of no layer.
  private static func copy(_ model: String, _ directory: TemporaryDirectory, _ name: String, weights: String) throws {
    for (file, bytes) in snapshot(models.appending(model)) where file != "expected.json" {
      directory.write("\(name)/\(file)", file == weights ? try firstLayer(bytes) : bytes)
    }
  }

  private static func firstLayer(_ file: [UInt8]) throws -> [UInt8] {
    let size = file[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    let all = try JSONSerialization.jsonObject(with: Data(file[8..<8 + size])) as? [String: [String: Any]] ?? [:]
    var header: [String: [String: Any]] = [:]
    var data: [UInt8] = []
    for name in all.keys.sorted() where !name.contains("layers.") || name.contains("layers.0.") {
      guard var entry = all[name], let range = entry["data_offsets"] as? [Int], range.count == 2 else { continue }
      entry["data_offsets"] = [data.count, data.count + range[1] - range[0]]
      data += file[8 + size + range[0]..<8 + size + range[1]]
      header[name] = entry
    }
    var text = Array(try JSONSerialization.data(withJSONObject: header))
    text += [UInt8](repeating: 0x20, count: (8 - text.count % 8) % 8)
    return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text + data
  }
}
