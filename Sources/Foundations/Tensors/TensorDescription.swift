/// A tensor without its values: row-major shape and element type.
public struct TensorDescription: Sendable, Hashable, CustomStringConvertible {
  /// Extents, outermost first; empty for a scalar.
  public var shape: [Int]
  /// Elements may be narrower than a byte.
  public var elementType: ElementType

  /// Checks nothing: a shape out of a file goes through ``checkedByteCount(shape:elementType:)`` first.
  public init(shape: [Int], elementType: ElementType) {
    self.shape = shape
    self.elementType = elementType
  }

  /// Product of the extents; 1 for a scalar, 0 as soon as one extent is 0.
  public var elementCount: Int { shape.reduce(1, *) }
  /// Bytes that the values take, rounded up where elements are narrower than a byte.
  public var byteCount: Int { (elementCount * elementType.bitWidth + 7) / 8 }
  /// Extent of dimension 0; a scalar has 1 row.
  public var rowCount: Int { shape.first ?? 1 }
  /// Elements of one row: the product of all extents but the first.
  public var rowElementCount: Int { shape.dropFirst().reduce(1, *) }
  /// Bytes of one row. Rows of elements narrower than a byte are addressable only if they fill whole bytes
  /// (see ``rowsAreAddressable``).
  public var rowByteCount: Int { (rowElementCount * elementType.bitWidth + 7) / 8 }
  /// Whether every row starts at a byte.
  public var rowsAreAddressable: Bool { (rowElementCount * elementType.bitWidth) % 8 == 0 }

  /// `byteCount` of a shape that has not been checked yet.
  ///
  /// - Returns: nil where an extent is negative, a product overflows, or the bits do not fill whole bytes.
  public static func checkedByteCount(shape: [Int], elementType: ElementType) -> Int? {
    var bits = elementType.bitWidth
    for extent in shape {
      guard extent >= 0 else { return nil }
      // Beside an extent of 0, too: rows, whose bytes are asked for alone, leave it out.
      let (product, overflow) = bits.multipliedReportingOverflow(by: max(1, extent))
      guard !overflow else { return nil }
      bits = product
    }
    if shape.contains(0) { return 0 }
    return bits % 8 == 0 ? bits / 8 : nil
  }

  /// `BF16 [576, 1536]`.
  public var description: String { "\(elementType.rawValue) \(shape)" }
}
