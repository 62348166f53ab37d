import Files
public import SystemPackage
public import Tensors

/// The tensors and metadata of one GGUF file (v2 or v3), or of all parts of one that was split, as written there.
///
/// Rows of quantised blocks are delivered as float32. Tensors are read at their offset in bounded pieces, never mapped.
public final class GGUFFile: NamedTensors {
  public let names: [String]
  /// Of the first part, where the model is split.
  public let metadata: GGUFMetadata
  let tensors: [String: GGUFHeader.Tensor]
  /// One, or every part in order.
  let parts: [ReadableFile]

  /// - Parameter path: The file, or any part of one that was split.
  /// - Throws: ``GGUFError`` for anything in a header that is not so, and for parts that are missing or do not belong
  ///   together.
  public init(_ path: FilePath) throws(GGUFError) {
    let split = try GGUFParts(path)
    parts = split.files
    names = split.tensors.map(\.name)
    tensors = Dictionary(uniqueKeysWithValues: split.tensors.map { ($0.name, $0) })
    metadata = GGUFMetadata(path: parts[0].path.string, values: split.metadata)
  }

  public var origin: String { parts[0].path.string }
  /// The file, or the first of its parts.
  public var path: FilePath { parts[0].path }

  /// Every file that may be opened where a path is read: its parts, and what is looked at beside them.
  ///
  /// Whether a GGUF file is an adapter is known only once it has been opened, so what is read beside adapters is named for all.
  /// Of a file that stands for its directory in messages, everything beside it.
  public static func files(of path: FilePath) -> [FilePath] {
    guard Directory.kind(of: path) == .file, let name = path.lastComponent?.string else { return parts(of: path) }
    let directory = path.removingLastComponent()
    if FoundSource.isPart(name) {
      let names = (try? Directory.names(in: directory.isEmpty ? "." : directory)) ?? []
      return parts(of: path) + names.filter { $0 != name }.map { directory.appending($0) }
    }
    return parts(of: path) + [LoRAConfig.fileName].map { directory.appending($0) }.filter { Directory.kind(of: $0) != nil }
  }

  /// The files that a path stands for: itself, or all parts of the split file that it is a part of.
  public static func parts(of path: FilePath) -> [FilePath] {
    guard let name = path.lastComponent?.string, let part = PartName(gguf: name), part.count > 1 else { return [path] }
    let all = part.all.map { path.removingLastComponent().appending($0) }
    return all.allSatisfy { Directory.kind(of: $0) == .file } ? all : [path]
  }

  /// How the tensor's numbers are stored.
  public func storage(of name: String) -> GGUFTensorType? { tensors[name]?.type }

  /// nil also where the numbers are of a type that cannot be read here; see ``requireReadable()``.
  public func description(of name: String) -> TensorDescription? {
    guard let tensor = tensors[name], let type = tensor.type.delivered else { return nil }
    return TensorDescription(shape: tensor.shape, elementType: type)
  }

  /// Refuses a file with tensors whose numbers cannot be read here, naming their types.
  public func requireReadable() throws(WeightSourceError) {
    let unreadable = names.filter { tensors[$0]?.type.delivered == nil }
    guard let first = unreadable.first else { return }
    let types = Set(unreadable.compactMap { tensors[$0]?.type.name }).sorted().joined(separator: ", ")
    let found = unreadable.count > 1 ? "\(types) (and \(unreadable.count - 1) more such tensors)" : types
    throw WeightSourceError(origin, .elementType(tensor: first, found: found, supported: GGUFTensorType.supportedNames))
  }

  public func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let tensor = tensors[name], let description = description(of: name) else {
      throw WeightSourceError(origin, .missing(names: [name]))
    }
    precondition(rows.lowerBound >= 0 && rows.upperBound <= description.rowCount, "rows outside the tensor")
    precondition(destination.count == rows.count * description.rowByteCount, "the buffer does not fit the rows")
    // A vector's "row" is one element, but its blocks span many: read it whole from the block that holds the first.
    let storedRowBytes = tensor.shape.count > 1 ? tensor.rowByteCount * tensor.shape.dropFirst().dropLast().reduce(1, *) : 0
    if tensor.type.isPlain {
      let at = tensor.offset + rows.lowerBound * description.rowByteCount
      return try unsafe parts[tensor.part].read(at: at, into: destination)
    }
    if tensor.shape.count > 1 {
      try unsafe dequantize(tensor, from: tensor.offset + rows.lowerBound * storedRowBytes, byteCount: rows.count * storedRowBytes, into: destination)
    } else {
      var whole = [Float](repeating: 0, count: description.elementCount)
      try unsafe whole.withUnsafeMutableBytes {
        try unsafe dequantize(tensor, from: tensor.offset, byteCount: tensor.rowByteCount, into: $0)
      }
      unsafe whole.withUnsafeBytes { unsafe destination.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[rows.lowerBound * 4..<rows.upperBound * 4])) }
    }
  }

  /// Rows of one matrix of a stack `[matrices, rows, columns]`, in the described element type.
  func read(_ name: String, matrix: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let tensor = tensors[name], let type = tensor.type.delivered, (2...3).contains(tensor.shape.count) else {
      throw WeightSourceError(origin, .missing(names: [name]))
    }
    let shape = tensor.shape.count == 2 ? [1] + tensor.shape : tensor.shape
    precondition((0..<shape[0]).contains(matrix) && rows.lowerBound >= 0 && rows.upperBound <= shape[1], "rows outside the tensor")
    precondition(destination.count == rows.count * shape[2] * type.bitWidth / 8, "the buffer does not fit the rows")
    let at = tensor.offset + (matrix * shape[1] + rows.lowerBound) * tensor.rowByteCount
    if tensor.type.isPlain { return try unsafe parts[tensor.part].read(at: at, into: destination) }
    try unsafe dequantize(tensor, from: at, byteCount: rows.count * tensor.rowByteCount, into: destination)
  }

  /// Reads whole blocks in pieces of about 256 KB, which stay in the second-level cache between reading and unpacking.
  private func dequantize(
    _ tensor: GGUFHeader.Tensor, from start: Int, byteCount: Int, into destination: UnsafeMutableRawBufferPointer
  ) throws {
    let type = tensor.type
    let piece = max(1, (256 << 10) / type.blockBytes) * type.blockBytes
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: min(piece, byteCount), alignment: 64)
    defer { unsafe scratch.deallocate() }
    var done = 0
    while done < byteCount {
      let count = min(piece, byteCount - done)
      let bytes = unsafe UnsafeMutableRawBufferPointer(rebasing: scratch[0..<count])
      try unsafe parts[tensor.part].read(at: start + done, into: bytes)
      let firstElement = done / type.blockBytes * type.blockElements
      let elements = count / type.blockBytes * type.blockElements
      let target = unsafe UnsafeMutableRawBufferPointer(rebasing: destination[firstElement * 4..<(firstElement + elements) * 4])
      unsafe Dequantization.unpack(type, UnsafeRawBufferPointer(bytes), into: target)
      done += count
    }
  }
}
