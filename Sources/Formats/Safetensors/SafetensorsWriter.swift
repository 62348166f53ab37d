public import Files
import JSON
public import OrderedCollections
public import Tensors

/// Writes one safetensors file: the header first, then values in any order and from any thread.
///
/// Nothing checks that every tensor is written; what is not reads as zeros.
public final class SafetensorsWriter: Sendable {
  /// Stays open: who created it closes it.
  public let file: WritableFile
  /// As it was written; says where each tensor's values lie.
  public let header: SafetensorsHeader

  /// Writes the header and gives the file its size.
  ///
  /// - Parameters:
  ///   - file: A new file.
  ///   - tensors: In the order in which their values are to lie.
  ///   - dataAlignment: See ``SafetensorsHeader/init(describing:metadata:dataAlignment:path:)``.
  public convenience init(
    file: WritableFile, metadata: OrderedDictionary<String, String>? = nil, tensors: [(String, TensorDescription)],
    dataAlignment: Int = 8
  ) throws(SafetensorsError) {
    let header = try SafetensorsHeader(
      describing: tensors, metadata: metadata, dataAlignment: dataAlignment, path: file.path)
    try self.init(file: file, header: header)
  }

  /// Writes a header that was made elsewhere and gives the file its size.
  ///
  /// - Parameter file: A new file.
  /// - Throws: ``SafetensorsError/Problem/file(_:)`` where it cannot be written.
  public init(file: WritableFile, header: SafetensorsHeader) throws(SafetensorsError) {
    self.file = file
    self.header = header
    do throws(FileError) {
      try file.write(at: 0, header.serialized())
      try file.setSize(header.dataStart + header.dataByteCount)
    } catch { throw SafetensorsError(file.path, .file(error)) }
  }

  /// Writes rows of dimension 0; a scalar has one.
  public func write(_ name: String, rows: Range<Int>, _ bytes: UnsafeRawBufferPointer) throws(SafetensorsError) {
    guard let entry = header[name] else {
      throw SafetensorsError(file.path, .missingTensor(name, nearest: nearestName(to: name, among: header.names)))
    }
    let place = try entry.bytes(ofRows: rows, path: file.path)
    guard bytes.count == place.count else {
      throw SafetensorsError(file.path, .bufferSize(tensor: name, expected: place.count, actual: bytes.count))
    }
    do throws(FileError) { try unsafe file.write(at: header.dataStart + place.lowerBound, bytes) } catch {
      throw SafetensorsError(file.path, .file(error))
    }
  }

  /// Writes bytes of a tensor's values, whatever its rows are.
  ///
  /// - Parameter offset: Of the first byte, from the tensor's.
  public func write(_ name: String, at offset: Int, _ bytes: UnsafeRawBufferPointer) throws(SafetensorsError) {
    guard let entry = header[name] else {
      throw SafetensorsError(file.path, .missingTensor(name, nearest: nearestName(to: name, among: header.names)))
    }
    let place = try entry.bytes(at: offset, count: bytes.count, path: file.path)
    do throws(FileError) { try unsafe file.write(at: header.dataStart + place.lowerBound, bytes) } catch {
      throw SafetensorsError(file.path, .file(error))
    }
  }

  /// Writes all of a small tensor.
  public func write(_ name: String, _ bytes: [UInt8]) throws(SafetensorsError) {
    var failure: SafetensorsError?
    let rows = header[name]?.description.rowCount ?? 0
    unsafe bytes.withUnsafeBytes { buffer in
      do throws(SafetensorsError) { try unsafe write(name, rows: 0..<rows, buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
