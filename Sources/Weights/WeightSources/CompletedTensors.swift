import Tensors

/// Tensors of which some stand under other names, and some are not there because all of their values are zero.
struct CompletedTensors: NamedTensors {
  let base: any NamedTensors
  /// The name in `base` of a tensor that goes by another here.
  var aliases: [String: String] = [:]
  /// Tensors of zeros, with their shapes.
  var zeros: [String: TensorDescription] = [:]

  var names: [String] {
    let hidden = Set(aliases.values)
    let added = aliases.keys.sorted() + zeros.keys.sorted()
    return base.names.filter { !hidden.contains($0) } + added
  }
  var origin: String { base.origin }
  var holdsOffsets: Bool { base.holdsOffsets }
  var isGGUF: Bool { base.isGGUF }
  /// Nothing that `base` would not do.
  var isTrivial: Bool { aliases.isEmpty && zeros.isEmpty }

  func spelling(of name: String) -> String { base.spelling(of: aliases[name] ?? name) }
  func description(of name: String) -> TensorDescription? { zeros[name] ?? base.description(of: aliases[name] ?? name) }

  func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    guard zeros[name] == nil else {
      if let start = destination.baseAddress { unsafe start.initializeMemory(as: UInt8.self, repeating: 0, count: destination.count) }
      return
    }
    try unsafe base.read(aliases[name] ?? name, rows: rows, into: destination)
  }
}
