public import Files
import JSON
public import SystemPackage
import Tensors

/// An open safetensors file whose header has been checked. Any number of threads may read from it.
public final class SafetensorsFile: Sendable {
  /// Open as long as this object lives.
  public let file: ReadableFile
  /// Checked against the file's size.
  public let header: SafetensorsHeader
  /// As it was given.
  public var path: FilePath { file.path }
  /// Of all tensors, in the order of their data.
  public var names: [String] { header.names }

  /// Opens a file and checks its header; values are not read.
  ///
  /// - Throws: ``SafetensorsError`` where the file cannot be opened or read, is of another kind, or has a header that the format forbids.
  public init(_ path: FilePath) throws(SafetensorsError) {
    do throws(FileError) { file = try ReadableFile(path) } catch { throw SafetensorsError(path, .file(error)) }
    let bytes = try Self.headerBytes(file)
    header = try SafetensorsHeader(parsing: unsafe bytes.span.bytes, fileByteCount: file.byteCount, path: path)
  }

  /// The header's bytes as they stand in the file, padding included, without the 8 bytes of size.
  public func headerBytes() throws(SafetensorsError) -> [UInt8] { try Self.headerBytes(file) }

  private static func headerBytes(_ file: ReadableFile) throws(SafetensorsError) -> [UInt8] {
    func failed(_ problem: SafetensorsError.Problem) -> SafetensorsError { SafetensorsError(file.path, problem) }
    func read(_ range: Range<Int>) throws(SafetensorsError) -> [UInt8] {
      do throws(FileError) { return try file.bytes(range) } catch { throw failed(.file(error)) }
    }
    let start = try read(0..<min(file.byteCount, FileStart.byteCount))
    guard start.count >= 8 else { throw failed(.tooShort(byteCount: start.count)) }
    let size = start.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    // Looked at before it is used to allocate or to index.
    guard size <= UInt64(SafetensorsHeader.byteLimit) else {
      throw failed(FileStart.description(of: start).map { .foreign($0) } ?? .headerTooLarge(byteCount: size))
    }
    guard Int(size) <= file.byteCount - 8 else {
      throw failed(FileStart.description(of: start).map { .foreign($0) } ?? .headerBeyondEnd(headerByteCount: Int(size), fileByteCount: file.byteCount))
    }
    if size == 0, let what = FileStart.description(of: start) { throw failed(.foreign(what)) }
    return try read(8..<8 + Int(size))
  }

  /// The tensor called `name`.
  ///
  /// - Throws: ``SafetensorsError/Problem/missingTensor(_:nearest:)``
  public func entry(_ name: String) throws(SafetensorsError) -> SafetensorsHeader.Entry {
    guard let entry = header[name] else {
      throw SafetensorsError(path, .missingTensor(name, nearest: nearestName(to: name, among: header.names)))
    }
    return entry
  }

  /// Reads rows of dimension 0.
  ///
  /// - Parameters:
  ///   - rows: A scalar has one row.
  ///   - destination: Exactly as large as the rows.
  public func read(
    _ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer
  ) throws(SafetensorsError) {
    let entry = try entry(name)
    let place = try entry.bytes(ofRows: rows, path: path)
    guard destination.count == place.count else {
      throw SafetensorsError(path, .bufferSize(tensor: name, expected: place.count, actual: destination.count))
    }
    do throws(FileError) {
      try unsafe file.read(at: header.dataStart + place.lowerBound, into: destination)
    } catch { throw SafetensorsError(path, .file(error)) }
  }

  /// Reads bytes of a tensor's values, whatever its rows are.
  ///
  /// - Parameter offset: Of the first byte, from the tensor's.
  public func read(_ name: String, from offset: Int, into destination: UnsafeMutableRawBufferPointer) throws(SafetensorsError) {
    let place = try entry(name).bytes(at: offset, count: destination.count, path: path)
    do throws(FileError) {
      try unsafe file.read(at: header.dataStart + place.lowerBound, into: destination)
    } catch { throw SafetensorsError(path, .file(error)) }
  }

  /// All values of a tensor. Meant for small ones.
  public func bytes(of name: String) throws(SafetensorsError) -> [UInt8] {
    let range = try entry(name).range
    do throws(FileError) {
      return try file.bytes(header.dataStart + range.lowerBound..<header.dataStart + range.upperBound)
    } catch { throw SafetensorsError(path, .file(error)) }
  }
}

extension SafetensorsHeader.Entry {
  /// Where some of the values' bytes lie, counted from the start of the data.
  func bytes(at offset: Int, count: Int, path: FilePath) throws(SafetensorsError) -> Range<Int> {
    guard offset >= 0, count <= range.count, offset <= range.count - count else {
      throw SafetensorsError(path, .bufferSize(tensor: name, expected: max(0, range.count - max(0, offset)), actual: count))
    }
    return range.lowerBound + offset..<range.lowerBound + offset + count
  }

  /// Where rows of dimension 0 lie, counted from the start of the data.
  func bytes(ofRows rows: Range<Int>, path: FilePath) throws(SafetensorsError) -> Range<Int> {
    guard rows.lowerBound >= 0, rows.upperBound <= description.rowCount else {
      throw SafetensorsError(path, .rows(tensor: name, rows: rows, rowCount: description.rowCount))
    }
    if rows.count == description.rowCount { return range }
    guard description.rowsAreAddressable else { throw SafetensorsError(path, .unaddressableRows(tensor: name)) }
    let size = description.rowByteCount
    return range.lowerBound + rows.lowerBound * size..<range.lowerBound + rows.upperBound * size
  }
}
