public import Tensors

/// A bag of unsharded tensors under names of their author's choosing: a Hugging Face directory, a GGUF file.
public protocol NamedTensors: Sendable {
  /// Every tensor, in the order of the files.
  var names: [String] { get }
  /// Where the tensors come from, for messages: a path.
  var origin: String { get }

  /// Shape (`[rows, columns]` for a matrix) and the element type in which rows are *delivered*: float32 where the
  /// file holds blocks of quantised numbers.
  func description(of name: String) -> TensorDescription?

  /// What the author calls the tensor, for messages: the name itself, unless ``names`` are translated.
  func spelling(of name: String) -> String

  /// Whether tensors are stored with their rules' offsets added, as GGUF files have them; see `TensorRule/offset`.
  var holdsOffsets: Bool { get }

  /// Whether they are of a GGUF file, whose settings have other names, and which may hold no tensor that its model lacks.
  var isGGUF: Bool { get }

  /// Writes rows `rows` of dimension 0, in the described element type, to `destination`.
  ///
  /// May be called from several threads at once. A vector has one row per element.
  /// - Parameter destination: Exactly `rows.count * rowByteCount` bytes; needs no alignment.
  func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws
}

extension NamedTensors {
  /// The name itself, where tensors do not say otherwise.
  public func spelling(of name: String) -> String { name }
  /// false, where tensors do not say otherwise.
  public var holdsOffsets: Bool { false }
  /// false, where tensors do not say otherwise.
  public var isGGUF: Bool { false }
}
