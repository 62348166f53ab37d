public import SystemPackage

/// A file that travels with a model's weights, such as its tokenizer: one that exists, or one that was made.
public struct AuxiliaryFile: Sendable, Equatable {
  public enum Contents: Sendable, Equatable {
    case file(FilePath)
    case bytes([UInt8])
  }
  /// A plain file name.
  public var name: String
  public var contents: Contents

  public init(_ name: String, at path: FilePath) {
    self.name = name
    contents = .file(path)
  }
  public init(_ name: String, bytes: [UInt8]) {
    self.name = name
    contents = .bytes(bytes)
  }

  /// 0 for a file that is not there.
  package var byteCount: Int {
    switch contents {
    case .file(let path): (try? SystemCalls.status(path, following: true))?.byteCount ?? 0
    case .bytes(let bytes): bytes.count
    }
  }

  /// All of it; for small files.
  public func bytes() throws(FileError) -> [UInt8] {
    switch contents {
    case .file(let path): try ReadableFile.contents(of: path)
    case .bytes(let bytes): bytes
    }
  }
}

extension OutputDirectory {
  public func write(_ file: AuxiliaryFile) throws(FileError) {
    switch file.contents {
    case .file(let path): try copyFile(from: path, name: file.name)
    case .bytes(let bytes): try write(file.name, bytes: bytes)
    }
  }
}
