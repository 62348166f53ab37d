import CPUKernels
import Safetensors
import Synchronization
import Tensors

/// The factor that multiplies inputs, `[rank, in]` in float32: read and converted once for a weight, whatever tiles it is
/// made in.
///
/// Factors are kept while their weight is being made, and dropped with its last row. What is kept has a bound; a factor
/// beyond a part of it (rank 64 at 65,536 inputs) is read for each tile, and so is the oldest where more weights are being
/// made at once than there is room for.
final class FactorCache: Sendable {
  /// Bytes of all factors that are kept, and of one.
  static let byteLimit = 64 << 20, factorLimit = 16 << 20

  private struct Entry {
    let name: String
    let values: [Float]
  }
  private let entries = Mutex<[Entry]>([])
  private let read = Mutex(0)
  /// Bytes of factors, as float32, that were read so far.
  var readByteCount: Int { read.withLock { $0 } }

  /// - Parameter make: Called without a lock, so two workers at one weight may both read.
  func values(_ name: String, byteCount: Int, _ make: () throws -> [Float]) throws -> [Float] {
    func read() throws -> [Float] {
      self.read.withLock { $0 += byteCount }
      return try make()
    }
    guard byteCount <= Self.factorLimit else { return try read() }
    if let found = entries.withLock({ $0.last { $0.name == name }?.values }) { return found }
    let values = try read()
    entries.withLock { entries in
      guard !entries.contains(where: { $0.name == name }) else { return }
      entries.append(Entry(name: name, values: values))
      var total = entries.reduce(0) { $0 + $1.values.count * 4 }
      while total > Self.byteLimit, let oldest = entries.first {
        total -= oldest.values.count * 4
        entries.removeFirst()
      }
    }
    return values
  }

  func drop(_ name: String) { entries.withLock { $0.removeAll { $0.name == name } } }
}

/// The rows of the factor that makes outputs which a tile needs, and all of the other, in float32.
@safe struct LowRankFactors {
  /// `[rows, rank]`, for the time of ``with(_:rows:_:_:_:_:)``.
  private let up: UnsafePointer<Float>
  /// `[rank, columns of the whole weight]`
  private let down: [Float]
  private let rank: Int
  private let rowCount: Int
  private let scale: Double

  /// Lends the factors of some output rows of the whole weight.
  static func with(
    _ change: AdapterChange.LowRank, rows: Range<Int>, _ file: any AdapterFile, _ cache: FactorCache, _ scratch: ScratchPool,
    _ body: (LowRankFactors) throws -> Void
  ) throws {
    let shape = try file.require(change.down).shape
    let down = try cache.values(change.down, byteCount: shape.reduce(4, *)) { try self.down(change, file, scratch) }
    let rank = change.rank
    try unsafe withUp(change, rows: rows, file, scratch) { up in
      guard let first = up.baseAddress else { return }
      try body(unsafe LowRankFactors(up: first, down: down, rank: rank, rowCount: rows.count, scale: change.scale))
    }
  }

  /// The factor that multiplies inputs, `[rank, in]`.
  static func down(_ change: AdapterChange.LowRank, _ file: any AdapterFile, _ scratch: ScratchPool) throws -> [Float] {
    try change.isDownTransposed ? transposed(change.down, file, scratch) : floats(change.down, rows: 0..<change.rank, file, scratch)
  }

  /// Rows of the factor that makes outputs, `[rows, rank]`.
  static func up(_ change: AdapterChange.LowRank, rows: Range<Int>, _ file: any AdapterFile, _ scratch: ScratchPool) throws -> [Float] {
    var values: [Float] = []
    try unsafe withUp(change, rows: rows, file, scratch) { up in unsafe values = Array(up) }
    return values
  }

  private static func withUp(
    _ change: AdapterChange.LowRank, rows: Range<Int>, _ file: any AdapterFile, _ scratch: ScratchPool,
    _ body: (UnsafeMutableBufferPointer<Float>) throws -> Void
  ) throws {
    try unsafe scratch.with(rows.count * change.rank * 4) { bytes in
      let up = unsafe bytes.bindMemory(to: Float.self)
      if change.isUpTransposed {
        guard let file = file as? SafetensorsFile else { throw WeightSourceError(file.origin, .missing(names: [change.up])) }
        try unsafe scratch.with(rows.count * 4) { line in
          let values = unsafe line.bindMemory(to: Float.self)
          for k in 0..<change.rank {
            try unsafe read(change.up, row: k, columns: rows, into: line, file, scratch)
            for row in 0..<rows.count { unsafe up[row * change.rank + k] = values[row] }
          }
        }
      } else {
        try unsafe read(change.up, rows: rows, into: bytes, file, scratch)
      }
      try unsafe body(up)
    }
  }

  private init(up: UnsafePointer<Float>, down: [Float], rank: Int, rowCount: Int, scale: Double) {
    unsafe self.up = up
    self.down = down
    self.rank = rank
    self.rowCount = rowCount
    self.scale = scale
  }

  /// Adds `strength · scale · B·A` of some columns to packed rows.
  func add(to target: UnsafeMutableRawBufferPointer, columns: Range<Int>, strength: Double) {
    let stride = down.count / rank
    let weights = unsafe target.assumingMemoryBound(to: Float.self)
    unsafe down.withUnsafeBufferPointer { down in
      guard let w = weights.baseAddress, let a = down.baseAddress else { return }
      unsafe dk_add_low_rank(
        dk_best_isa(), w, Int64(columns.count), up, a + columns.lowerBound, Int64(stride), Int64(rowCount), Int64(columns.count),
        Int64(rank), Float(strength * scale))
    }
  }

  /// Rows of one of the adapter's tensors, in float32.
  static func floats(_ name: String, rows: Range<Int>, _ file: any AdapterFile, _ scratch: ScratchPool) throws -> [Float] {
    let count = try rows.count * file.require(name).rowElementCount
    return try unsafe [Float](unsafeUninitializedCapacity: count) { buffer, filled in
      try unsafe read(name, rows: rows, into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[0..<count * 4]), file, scratch)
      filled = count
    }
  }

  private static func read(
    _ name: String, rows: Range<Int>, into target: UnsafeMutableRawBufferPointer, _ file: any AdapterFile, _ scratch: ScratchPool
  ) throws {
    let description = try file.require(name)
    if description.elementType == .float32 { return unsafe try file.read(name, rows: rows, into: target) }
    try unsafe scratch.with(rows.count * description.rowByteCount) { bytes in
      try unsafe file.read(name, rows: rows, into: bytes)
      unsafe NumberFormat.convert(from: UnsafeRawBufferPointer(bytes), description.elementType, to: target, .float32)
    }
  }

  /// Some columns of one row.
  private static func read(
    _ name: String, row: Int, columns: Range<Int>, into target: UnsafeMutableRawBufferPointer, _ file: SafetensorsFile, _ scratch: ScratchPool
  ) throws {
    let elementType = try file.require(name).elementType
    try unsafe scratch.with(columns.count * elementType.bitWidth / 8) { bytes in
      try unsafe file.read(name, row: row, columns: columns, into: bytes)
      unsafe NumberFormat.convert(from: UnsafeRawBufferPointer(bytes), elementType, to: target, .float32)
    }
  }

  /// The whole tensor `[n, m]` as `[m, n]`.
  private static func transposed(_ name: String, _ file: any AdapterFile, _ scratch: ScratchPool) throws -> [Float] {
    let shape = try file.require(name).shape
    let values = try floats(name, rows: 0..<shape[0], file, scratch)
    var result = [Float](repeating: 0, count: values.count)
    for row in 0..<shape[0] {
      for column in 0..<shape[1] { result[column * shape[0] + row] = values[row * shape[1] + column] }
    }
    return result
  }
}
