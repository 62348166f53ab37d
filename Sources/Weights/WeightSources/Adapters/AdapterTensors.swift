import Tensors

/// The tensors with which an adapter replaces the base's, under the base's names.
struct AdapterTensors: NamedTensors {
  private let adapter: LoRAAdapter
  private let stored: [String: String]

  init(_ adapter: LoRAAdapter, _ changes: [String: AdapterChange]) {
    self.adapter = adapter
    stored = changes.compactMapValues(\.replacement)
  }

  var names: [String] { stored.keys.sorted() }
  var origin: String { adapter.origin }
  func description(of name: String) -> TensorDescription? { stored[name].flatMap { adapter.file.description(of: $0) } }
  func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let stored = stored[name] else { throw WeightSourceError(origin, .missing(names: [name])) }
    try unsafe adapter.file.read(stored, rows: rows, into: destination)
  }
}
