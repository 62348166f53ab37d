import Checkpoints
public import Schemes
public import Tensors

/// Float weights, those that a quantisation covers in fewer bits: what a quantised checkpoint made of them holds.
public struct EncodedWeights: WeightSource {
  /// The floats.
  public let base: any WeightSource
  public let scheme: NumberScheme
  private let covers: @Sendable (_ tensor: String) -> Bool
  private let scratch = ScratchPool()

  /// Memory for floats on the way.
  private static let chunkByteCount = 1 << 20

  /// - Precondition: The scheme is not a plain one.
  public init(_ base: any WeightSource, scheme: NumberScheme, covers: @escaping @Sendable (_ tensor: String) -> Bool) {
    precondition(scheme.coding != nil)
    self.base = base
    self.scheme = scheme
    self.covers = covers
  }

  public var origin: String { base.origin }

  public func names(rank: Int) -> [String] {
    base.names(rank: rank).flatMap { name in covers(name) ? parts.map { $0.name(of: name) } : [name] }
  }

  public func description(of name: String, rank: Int) -> TensorDescription? {
    guard let (weight, index) = part(name, rank: rank) else { return base.description(of: name, rank: rank) }
    guard let whole = base.description(of: weight, rank: rank) else { return nil }
    return TensorDescription(shape: parts[index].shape(of: whole.shape), elementType: parts[index].accepted[0])
  }

  public func scheme(of name: String, rank: Int) -> NumberScheme? {
    guard let (_, index) = part(name, rank: rank) else { return base.scheme(of: name, rank: rank) }
    return parts[index].kind == .codes ? scheme : .plain(parts[index].accepted[0])
  }

  public func read(_ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let coding = scheme.coding, let (weight, index) = part(name, rank: rank), let description = base.description(of: weight, rank: rank) else {
      return unsafe try base.read(name, rank: rank, rows: rows, into: destination)
    }
    let (columns, part) = (description.rowElementCount, parts[index])
    let rowBytes = coding.rowByteCounts(columns: columns)[index]
    let outBytes = rowBytes / (part.elementType.bitWidth / 8) * part.accepted[0].bitWidth / 8
    let step = max(1, Self.chunkByteCount / max(1, columns * 4))
    for start in stride(from: rows.lowerBound, to: rows.upperBound, by: step) {
      let chunk = start..<min(start + step, rows.upperBound)
      let sizes = (stored: chunk.count * description.rowByteCount, floats: chunk.count * columns * 4)
      let codedBytes = coding.byteCount(rows: chunk.count, columns: columns)
      try unsafe scratch.with(sizes.stored + 64 + sizes.floats + 64 + codedBytes) { memory in
        let stored = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[..<sizes.stored])
        let floatStart = (sizes.stored + 63) / 64 * 64
        let floats = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[floatStart..<floatStart + sizes.floats])
        let codedStart = (floatStart + sizes.floats + 63) / 64 * 64
        unsafe try base.read(weight, rank: rank, rows: chunk, into: stored)
        unsafe NumberFormat.convert(from: UnsafeRawBufferPointer(stored), description.elementType, to: floats, .float32)
        let places = unsafe coding.split(UnsafeMutableRawBufferPointer(rebasing: memory[codedStart...]), rows: chunk.count, columns: columns)
        unsafe coding.encode(UnsafeRawBufferPointer(floats), rows: chunk.count, columns: columns, into: places)
        let first = (start - rows.lowerBound) * outBytes
        let out = unsafe UnsafeMutableRawBufferPointer(rebasing: destination[first..<first + chunk.count * outBytes])
        if part.accepted[0] == part.elementType {
          unsafe out.copyMemory(from: UnsafeRawBufferPointer(places[index]))
        } else {
          unsafe NumberFormat.convert(from: UnsafeRawBufferPointer(places[index]), part.elementType, to: out, part.accepted[0])
        }
      }
    }
  }

  private var parts: [CodedPart] { scheme.coding?.parts ?? [] }

  /// The weight that a tensor is a part of, and which one.
  private func part(_ name: String, rank: Int) -> (weight: String, index: Int)? {
    for (index, part) in parts.enumerated() where name.hasSuffix("." + part.suffix) {
      let weight = String(name.dropLast(part.suffix.count)) + "weight"
      if covers(weight), base.description(of: weight, rank: rank) != nil { return (weight, index) }
    }
    return nil
  }
}
