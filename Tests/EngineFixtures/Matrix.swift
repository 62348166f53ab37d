package import Tensors

/// Rows of float32, for references: nothing fast here.
package struct Matrix: Equatable, Sendable {
  package let rows: Int
  package let columns: Int
  package var values: [Float]

  package init(rows: Int, columns: Int, values: [Float]) {
    precondition(values.count == rows * columns)
    self.rows = rows
    self.columns = columns
    self.values = values
  }
  package init(rows: Int, columns: Int, _ value: () -> Float) {
    self.init(rows: rows, columns: columns, values: (0..<rows * columns).map { _ in value() })
  }
  package static func stacked(_ parts: [Matrix]) -> Matrix {
    Matrix(rows: parts.reduce(0) { $0 + $1.rows }, columns: parts[0].columns, values: parts.flatMap(\.values))
  }

  package func rows(_ range: Range<Int>) -> Matrix {
    Matrix(rows: range.count, columns: columns, values: Array(values[range.lowerBound * columns..<range.upperBound * columns]))
  }
  package func columns(_ range: Range<Int>) -> Matrix {
    Matrix(rows: rows, columns: range.count, values: (0..<rows).flatMap { values[$0 * columns + range.lowerBound..<$0 * columns + range.upperBound] })
  }
  package func padded(to rows: Int) -> Matrix {
    Matrix(rows: rows, columns: columns, values: values + [Float](repeating: 0, count: (rows - self.rows) * columns))
  }

  /// The elements in a type, little-endian, rounded to nearest even.
  package func bytes(_ type: ElementType) -> [UInt8] {
    values.flatMap { value -> [UInt8] in
      switch type {
      case .float32: unsafe withUnsafeBytes(of: value.bitPattern.littleEndian) { unsafe Array($0) }
      case .bfloat16: unsafe withUnsafeBytes(of: NumberFormat.bfloat16(from: value).littleEndian) { unsafe Array($0) }
      case .float16: unsafe withUnsafeBytes(of: NumberFormat.float16(from: value).littleEndian) { unsafe Array($0) }
      default: preconditionFailure("no such test data")
      }
    }
  }
  /// The elements as they are after rounding to a type.
  package func rounded(_ type: ElementType) -> Matrix {
    Matrix(
      rows: rows, columns: columns,
      values: values.map { value in
        switch type {
        case .bfloat16: NumberFormat.float(fromBFloat16: NumberFormat.bfloat16(from: value))
        case .float16: NumberFormat.float(fromFloat16: NumberFormat.float16(from: value))
        default: value
        }
      })
  }
}
