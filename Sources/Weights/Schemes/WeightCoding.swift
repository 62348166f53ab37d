public import Tensors

/// A part of an encoded weight, as checkpoints keep it: a tensor of its own.
public struct CodedPart: Sendable {
  /// What a part is to the values: the codes, what codes are multiplied by, or the codes that stand for 0.
  public enum Kind: String, Sendable { case codes, scales, zeros }
  /// Of the parts of a scheme, one alone holds the codes.
  public let kind: Kind
  /// What stands in the place of `weight` at the end of the tensor's name.
  public let suffix: String
  /// The type in which rows are delivered to ``WeightCoding/pack(_:rows:columns:into:)``.
  public let elementType: ElementType
  /// Types in which a checkpoint may keep it.
  public let accepted: [ElementType]
  /// Of the rows of a weight `[N, K]`, for one row.
  public let columns: @Sendable (_ inputs: Int) -> Int
  /// Whether the tensor has a dimension of columns; otherwise it is `[N]`.
  public let isMatrix: Bool

  /// - Parameter columns: For a number of inputs K, how many the part has in each row.
  public init(
    _ kind: Kind, suffix: String, elementType: ElementType, accepted: [ElementType], isMatrix: Bool, columns: @escaping @Sendable (Int) -> Int
  ) {
    self.kind = kind
    self.suffix = suffix
    self.elementType = elementType
    self.accepted = accepted
    self.isMatrix = isMatrix
    self.columns = columns
  }

  /// The part of the weight `name`, which ends in `weight`.
  public func name(of weight: String) -> String {
    guard weight.hasSuffix("weight") else { return weight + "." + suffix }
    return String(weight.dropLast("weight".count)) + suffix
  }
  /// Of a weight `[N, K]`.
  public func shape(of weight: [Int]) -> [Int] {
    guard weight.count == 2 else { return weight }
    return isMatrix ? [weight[0], columns(weight[1])] : [weight[0]]
  }
}

/// Numbers in fewer bits: codes, and what they are multiplied by.
///
/// A weight is encoded row by row (one output of a linear layer), so rows of several tensors can stand below each other,
/// and a tile of rows is encoded without the rest. In an engine all parts of a weight lie together, panel by panel.
public protocol WeightCoding: Sendable {
  /// TensorRT-LLM's `quant_algo`, such as `W8A16`.
  static var name: String { get }
  /// How its panels lie in an engine's file.
  static var layout: WeightLayout { get }
  /// As checkpoints keep them: codes first. Every method takes memory for them in this order.
  static var parts: [CodedPart] { get }
  /// Bytes of a panel of ``WeightLayout/panelRows`` rows, of which each has so many columns.
  static func panelByteCount(columns: Int) -> Int

  /// Encodes rows.
  ///
  /// - Parameters:
  ///   - source: float32 `[rows, columns]`.
  ///   - parts: For each of ``parts``, memory for the part's rows in its element type, without gaps.
  static func encode(_ source: UnsafeRawBufferPointer, rows: Int, columns: Int, into parts: [UnsafeMutableRawBufferPointer])
  /// The values of encoded rows as float32 `[rows, columns]`.
  static func decode(_ parts: [UnsafeMutableRawBufferPointer], rows: Int, columns: Int, into destination: UnsafeMutableRawBufferPointer)
  /// Puts encoded rows into panels; rows up to the end of the last panel become zero.
  static func pack(_ parts: [UnsafeMutableRawBufferPointer], rows: Int, columns: Int, into destination: UnsafeMutableRawBufferPointer)
  /// Takes the first `rows` rows of panels apart again, as they were given to ``pack(_:rows:columns:into:)``.
  static func unpack(_ source: UnsafeRawBufferPointer, rows: Int, columns: Int, into parts: [UnsafeMutableRawBufferPointer])
  /// How many rows of whole panels stand for NaN or infinity; a row of codes does so as a whole.
  static func nonFiniteRows(_ source: UnsafeRawBufferPointer, columns: Int) -> Int
}

extension WeightCoding {
  /// Bytes of one row of each part.
  public static func rowByteCounts(columns: Int) -> [Int] {
    parts.map { ($0.isMatrix ? $0.columns(columns) : 1) * $0.elementType.bitWidth / 8 }
  }
  /// Bytes of all parts of so many rows, each from a boundary of 64.
  public static func byteCount(rows: Int, columns: Int) -> Int {
    rowByteCounts(columns: columns).reduce(0) { $0 + ($1 * rows + 63) / 64 * 64 }
  }
  /// Memory of ``byteCount(rows:columns:)`` as the places of the parts.
  public static func split(_ memory: UnsafeMutableRawBufferPointer, rows: Int, columns: Int) -> [UnsafeMutableRawBufferPointer] {
    var start = 0
    return unsafe rowByteCounts(columns: columns).map { size in
      let part = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[start..<start + size * rows])
      start += (size * rows + 63) / 64 * 64
      return unsafe part
    }
  }
  /// The stored tensor of a weight `[N, K]`: bytes `[⌈N/16⌉, bytes of a panel]`.
  public static func stored(_ shape: [Int]) -> TensorDescription {
    let columns = shape.count == 2 ? shape[1] : 1
    return TensorDescription(
      shape: [(shape[0] + WeightLayout.panelRows - 1) / WeightLayout.panelRows, panelByteCount(columns: columns)], elementType: .uint8)
  }
}
