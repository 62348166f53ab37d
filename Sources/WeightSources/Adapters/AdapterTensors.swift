import Safetensors
import Tensors

/// The tensors with which an adapter replaces the base's, under the base's names.
final class AdapterTensors: NamedTensors {
  private let adapter: LoRAAdapter

  init(_ adapter: LoRAAdapter) { self.adapter = adapter }

  var names: [String] { adapter.replacements.keys.sorted() }
  var origin: String { adapter.origin }
  func description(of name: String) -> TensorDescription? {
    adapter.replacements[name].flatMap { adapter.file.header[$0]?.description }
  }
  func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let stored = adapter.replacements[name] else { throw WeightSourceError(origin, .missing(names: [name])) }
    try unsafe adapter.file.read(stored, rows: rows, into: destination)
  }
}
