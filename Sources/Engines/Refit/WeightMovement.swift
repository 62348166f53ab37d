import Tensors

/// How far a weight moved from what the engine held before.
public struct WeightMovement: Sendable, Equatable {
  /// Sum of squares of the values before.
  public private(set) var before = 0.0
  /// Sum of squares of the changes.
  public private(set) var change = 0.0
  /// The largest change of one element, without its sign.
  public private(set) var largest = 0.0

  /// Nothing moved, of no values.
  public init() {}

  /// Frobenius norm of the change divided by that of the values before; nil where either is NaN or infinite, or all was zero.
  public var relative: Double? {
    guard before.isFinite, change.isFinite else { return nil }
    if change == 0 { return 0 }
    return before > 0 ? (change / before).squareRoot() : nil
  }

  /// Joins parts of one weight, such as its tensor-parallel slices.
  public mutating func add(_ other: WeightMovement) {
    before += other.before
    change += other.change
    largest = max(largest, other.largest)
  }

  /// - Parameters:
  ///   - old: float32 values before.
  ///   - new: As many float32 values after.
  mutating func add(old: UnsafeRawBufferPointer, new: UnsafeRawBufferPointer) {
    guard let old = old.baseAddress, let start = new.baseAddress else { return }
    let count = new.count / 4
    var index = 0
    var greatest = SIMD8<Float>()
    // Lanes of float32 over short blocks, then Double: as good as Double throughout, and as fast as float32.
    while index + 8 <= count {
      let end = min(count / 8 * 8, index + 1024)
      var squares = SIMD8<Float>(), changes = SIMD8<Float>()
      while index < end {
        let a = unsafe old.loadUnaligned(fromByteOffset: index * 4, as: SIMD8<Float>.self)
        let b = unsafe start.loadUnaligned(fromByteOffset: index * 4, as: SIMD8<Float>.self)
        let moved = b - a
        squares += a * a
        changes += moved * moved
        greatest = greatest.replacing(with: moved, where: moved .> greatest)
        greatest = greatest.replacing(with: -moved, where: -moved .> greatest)
        index += 8
      }
      before += Double(squares.sum())
      change += Double(changes.sum())
    }
    largest = max(largest, Double(greatest.max()))
    while index < count {
      let a = unsafe Double(old.loadUnaligned(fromByteOffset: index * 4, as: Float.self))
      let b = unsafe Double(start.loadUnaligned(fromByteOffset: index * 4, as: Float.self))
      before += a * a
      change += (b - a) * (b - a)
      largest = max(largest, abs(b - a))
      index += 1
    }
  }
}
