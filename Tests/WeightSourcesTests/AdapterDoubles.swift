import Safetensors
import Tensors
import WeightSources

/// The base under the weights that PEFT merged, with an output head of its own.
struct Merged: NamedTensors {
  let base: any NamedTensors
  let changed: SafetensorsFile
  var names: [String] { Set(base.names + ["lm_head.weight"]).sorted() }
  var origin: String { "merged" }
  private func place(_ name: String) -> String {
    name == "lm_head.weight" && base.description(of: name) == nil ? "model.embed_tokens.weight" : name
  }
  func description(of name: String) -> TensorDescription? { changed.header[name]?.description ?? base.description(of: place(name)) }
  func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    if changed.header[name] != nil { return try unsafe changed.read(name, rows: rows, into: destination) }
    try unsafe base.read(place(name), rows: rows, into: destination)
  }
}

/// An engine that stores table and head once offers no head.
struct SharedTable: WeightSource {
  let base: ConvertedWeights
  var origin: String { "engine" }
  func names(rank: Int) -> [String] { base.names(rank: rank).filter { $0 != "lm_head.weight" } }
  func description(of name: String, rank: Int) -> TensorDescription? {
    name == "lm_head.weight" ? nil : base.description(of: name, rank: rank)
  }
  func read(_ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    try unsafe base.read(name, rank: rank, rows: rows, into: destination)
  }
}
