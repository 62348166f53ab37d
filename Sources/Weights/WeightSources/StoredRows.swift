public import Schemes
public import Tensors

/// Rows of a tensor as numbers that lie somewhere and what is done to each of them: little enough for a device to do by itself.
///
/// A number is taken in float32, rounded to ``rounding``, gets ``offset`` and then each of ``additions`` in float32, each sum rounded. That
/// is, to the bit, what ``WeightSource/read(_:rank:rows:into:)`` delivers, before it rounds to the type that it describes.
public struct StoredRows: Sendable {
  /// Rows of the tensor; a vector has one for each element.
  public var rows: Range<Int>
  /// The matrix or vector that the rows are taken from.
  public let numbers: StoredNumbers
  /// The row of ``numbers`` that makes the first of them.
  public var firstRow: Int
  /// The type to which numbers are rounded before anything is added; nil: they are not.
  public let rounding: ElementType?
  /// 0: nothing is added.
  public let offset: Float
  /// Low-rank changes, added in order.
  public var additions: [LowRankAddition] = []

  /// - Parameter firstRow: The row of `numbers` that makes the first of `rows`.
  public init(rows: Range<Int>, _ numbers: StoredNumbers, firstRow: Int = 0, rounding: ElementType? = nil, offset: Float = 0) {
    self.rows = rows
    self.numbers = numbers
    self.firstRow = firstRow
    self.rounding = rounding
    self.offset = offset
  }

  /// Those of them that are in `range`; nil where none is.
  public func clamped(to range: Range<Int>) -> StoredRows? {
    var part = self
    part.rows = rows.clamped(to: range)
    guard !part.rows.isEmpty else { return nil }
    part.firstRow += part.rows.lowerBound - rows.lowerBound
    for index in additions.indices { part.additions[index].firstRow += part.rows.lowerBound - rows.lowerBound }
    return part
  }
}

/// A matrix, or a vector, of floats as it lies in a file or in memory.
@safe public struct StoredNumbers: Sendable {
  /// Of the numbers as they are stored: a float type.
  public let elementType: ElementType
  /// In which order they lie.
  public let layout: WeightLayout
  /// Logical, `[N, K]` or `[N]`.
  public let shape: [Int]
  /// An object whose bytes these are, and what they are called there: who has a copy of it need not read them.
  public var owner: (object: any AnyObject & Sendable, name: String)?
  /// Writes rows of dimension 0 as they are stored (panels, of a layout of panels) to exactly as many bytes, from any thread.
  public let read: @Sendable (_ storedRows: Range<Int>, _ destination: UnsafeMutableRawBufferPointer) throws -> Void

  /// - Parameter read: From any thread; see ``read``.
  public init(
    _ elementType: ElementType, layout: WeightLayout = .rows, shape: [Int], owner: (object: any AnyObject & Sendable, name: String)? = nil,
    read: @escaping @Sendable (_ storedRows: Range<Int>, _ destination: UnsafeMutableRawBufferPointer) throws -> Void
  ) {
    self.elementType = elementType
    self.layout = layout
    self.shape = shape
    self.owner = owner
    unsafe self.read = unsafe read
  }
}

/// `scale · up · down`, a sum over `rank` in order in which every product and sum is rounded to float32.
public struct LowRankAddition: Sendable {
  /// Columns of `up`, rows of `down`.
  public let rank: Int
  /// What the product is multiplied by.
  public let scale: Float
  /// The row of the whole weight that the first row gets.
  public var firstRow: Int
  /// Float32 `[rank, columns]`.
  public let down: @Sendable () throws -> [Float]
  /// Float32 `[rows, rank]`, of rows of the whole weight.
  public let up: @Sendable (_ rows: Range<Int>) throws -> [Float]
}
