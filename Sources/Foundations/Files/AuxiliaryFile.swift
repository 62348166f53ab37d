public import SystemPackage

/// A file that travels with a model's weights, such as its tokenizer: one that exists, or one that was made.
public struct AuxiliaryFile: Sendable, Equatable {
  /// Where its bytes are: on the disk, from where they are read when they are needed, or in memory.
  public enum Contents: Sendable, Equatable {
    /// A file on the disk; symbolic links are followed.
    case file(FilePath)
    /// The whole contents.
    case bytes([UInt8])
  }
  /// A plain file name.
  public var name: String
  /// What is written under ``name``.
  public var contents: Contents

  /// - Parameter path: Not looked at before the bytes are wanted.
  public init(_ name: String, at path: FilePath) {
    self.name = name
    contents = .file(path)
  }
  /// - Parameter name: A plain file name, without a directory.
  public init(_ name: String, bytes: [UInt8]) {
    self.name = name
    contents = .bytes(bytes)
  }

  /// Whether a directory's name is of what macOS keeps beside a file on other disks (AppleDouble): it has the file's name and none of
  /// its bytes.
  public static func isAppleDouble(_ name: String) -> Bool { name.hasPrefix("._") }
  /// Whether a file beside a model does not go with it to another form: weights in some other format, and AppleDouble.
  public static func staysBehind(_ name: String) -> Bool { isAppleDouble(name) || isWeights(name) }

  /// Whether a file of this name holds weights, of whatever model: gigabytes that do not travel with those of another.
  public static func isWeights(_ name: String) -> Bool {
    if [".safetensors", ".safetensors.index.json", ".gguf", ".pt", ".pth", ".ckpt"].contains(where: name.hasSuffix) { return true }
    return name.hasSuffix(".bin") && ["pytorch_model", "model", "adapter_model", "optimizer"].contains(where: name.hasPrefix)
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
  /// Writes all of it under its name; a file on the disk is copied, symbolic links followed.
  ///
  /// - Throws: ``FileError`` where the name is not a plain one or is there already, and where the file cannot be read or written.
  public func write(_ file: AuxiliaryFile) throws(FileError) {
    switch file.contents {
    case .file(let path): try copyFile(from: path, name: file.name)
    case .bytes(let bytes): try write(file.name, bytes: bytes)
    }
  }
}
