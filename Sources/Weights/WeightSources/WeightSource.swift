public import Schemes
public import Tensors

/// Answers for one rank under TensorRT-LLM's names, whatever stands behind it.
///
/// All members may be called from several threads at once. Readers ask for tiles of rows, so a source holds no
/// tensor in memory.
public protocol WeightSource: Sendable {
  /// Where the weights come from, for messages: a path, with what was put on top of it.
  var origin: String { get }

  /// The rank's tensors, in the order of the network.
  func names(rank: Int) -> [String]

  /// Shape and element type in which rows are delivered, or nil where the rank has no such tensor. A stack of matrices (experts) is
  /// described and read as one matrix, each below the one before.
  func description(of name: String, rank: Int) -> TensorDescription?

  /// How the tensor's numbers are kept, or nil where the rank has no such tensor. Of an encoded weight, `name` is that of
  /// its codes, and its other parts are tensors of their own (`CodedPart/name(of:)`).
  func scheme(of name: String, rank: Int) -> NumberScheme?

  /// Writes rows `rows` of dimension 0 (a vector has one row per element), in the described element type.
  ///
  /// - Parameter destination: Exactly `rows.count * rowByteCount` bytes; needs no alignment.
  func read(_ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws

  /// Of what its rows are made, without gaps and in their order; nil where that takes more than ``StoredRows`` can say.
  func storedRows(of name: String, rank: Int) -> [StoredRows]?
}

extension WeightSource {
  /// nil, where a source does not say otherwise.
  public func storedRows(of name: String, rank: Int) -> [StoredRows]? { nil }

  /// Plain numbers of the described type, where a source does not say otherwise.
  public func scheme(of name: String, rank: Int) -> NumberScheme? { description(of: name, rank: rank).map { .plain($0.elementType) } }

  /// All bytes of one tensor. For small tensors and tests; work on tiles otherwise.
  public func bytes(of name: String, rank: Int) throws -> [UInt8] {
    guard let description = description(of: name, rank: rank) else {
      throw WeightSourceError(origin, .missing(names: ["rank \(rank): \(name)"]))
    }
    var bytes = [UInt8](repeating: 0, count: description.byteCount)
    try unsafe bytes.withUnsafeMutableBytes { buffer in
      try unsafe read(name, rank: rank, rows: 0..<description.rowCount, into: buffer)
    }
    return bytes
  }
}

extension NamedTensors {
  /// All bytes of one tensor. For small tensors and tests; work on tiles otherwise.
  public func bytes(of name: String) throws -> [UInt8] {
    guard let description = description(of: name) else { throw WeightSourceError(origin, .missing(names: [name])) }
    var bytes = [UInt8](repeating: 0, count: description.byteCount)
    try unsafe bytes.withUnsafeMutableBytes { buffer in
      try unsafe read(name, rows: 0..<description.rowCount, into: buffer)
    }
    return bytes
  }
}
