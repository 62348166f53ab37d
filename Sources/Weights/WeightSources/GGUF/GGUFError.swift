public import Files

/// Why a file is not the GGUF that was expected, and where.
public struct GGUFError: Error, Equatable, CustomStringConvertible {
  /// What is wrong with the file: the first thing that was met.
  public enum Problem: Equatable, Sendable {
    /// The first four bytes are not `GGUF`.
    case notGGUF
    /// Neither version 2 nor 3.
    case unsupportedVersion(UInt32)
    /// The version reads as one in the other byte order.
    case bigEndian
    /// The file ends before something that it announces; in bytes.
    case truncated(needed: Int, available: Int)
    /// A count that the rest of the file could not hold.
    case countTooLarge(what: String, count: UInt64, limit: Int)
    /// Text that is not UTF-8.
    case invalidText(what: String)
    /// More combining marks in a row than any text needs; see `CombiningMarks`.
    case tooManyMarks(what: String, limit: Int)
    /// A metadata value of a type that is not known here.
    case unknownValueType(UInt32, key: String)
    /// Two keys or tensors of one name.
    case duplicate(what: String, name: String)
    /// `general.alignment` is not a power of two from 8 to 65536.
    case alignment(UInt64)
    /// A tensor's dimensions are too many, too large, or do not fill whole blocks.
    case dimensions(tensor: String, reason: String)
    /// A tensor of a type that GGUF v3 does not have.
    case unknownTensorType(tensor: String, code: UInt32)
    /// A tensor that does not begin at a multiple of the alignment.
    case misaligned(tensor: String, offset: UInt64, alignment: Int)
    /// A tensor whose bytes go beyond the file's end.
    case outsideFile(tensor: String, end: UInt64, fileByteCount: Int)
    /// Two tensors share bytes.
    case overlap(tensor: String, other: String)
    /// A value that is missing, of the wrong kind or out of range: `reason` follows the key.
    case metadata(key: String, reason: String)
    /// Parts of a split file that are missing or do not belong together, with the remedy.
    case split(reason: String)
    /// The file cannot be opened or read.
    case file(FileError)
  }
  /// The file, as it was asked for.
  public let path: String
  /// Byte offset from the start of the file at which the trouble was found.
  public let offset: Int
  /// What is wrong at ``offset``.
  public let problem: Problem

  public var description: String {
    let what =
      switch problem {
      case .notGGUF: "the file does not start with 'GGUF'. Check that the download is a model file and not a web page or a pointer."
      case .unsupportedVersion(let version): "GGUF version \(version) is not supported, 2 and 3 are. Convert the model again with a current llama.cpp."
      case .bigEndian: "this is a big-endian GGUF file. Convert it to little-endian with gguf-convert-endian."
      case .truncated(let needed, let available):
        "the file ends too early: \(needed) bytes are needed here, \(available) are left. Download it again."
      case .countTooLarge(let what, let count, let limit): "\(what) is \(count), more than the \(limit) that could be there. The file is damaged."
      case .invalidText(let what): "\(what) is not valid UTF-8. The file is damaged."
      case .tooManyMarks(let what, let limit): "\(what) has more than \(limit) combining marks in a row. The file is damaged."
      case .unknownValueType(let code, let key): "the value of '\(key)' has the unknown type \(code). The file is damaged or newer than this program."
      case .duplicate(let what, let name): "\(what) '\(name)' appears twice. The file is damaged."
      case .alignment(let value): "general.alignment is \(value), which is not a power of two from 8 to 65536. The file is damaged."
      case .dimensions(let tensor, let reason): "tensor '\(tensor)': \(reason). The file is damaged."
      case .unknownTensorType(let tensor, let code): "tensor '\(tensor)' has the unknown type \(code). The file is newer than this program."
      case .misaligned(let tensor, let offset, let alignment):
        "tensor '\(tensor)' starts at \(offset), which is not a multiple of \(alignment). The file is damaged."
      case .outsideFile(let tensor, let end, let size):
        "tensor '\(tensor)' would end at byte \(end), the file has \(size). Download it again."
      case .overlap(let tensor, let other): "tensor '\(tensor)' lies on the bytes of '\(other)'. The file is damaged: download or convert it again."
      case .metadata(let key, let reason): "metadata '\(key)' \(reason)."
      case .split(let reason): reason
      case .file(let error): "\(error)"
      }
    switch problem {
    case .file: return what
    case .notGGUF, .split, .metadata: return "\(path): \(what)"
    default: break
    }
    return "\(path): byte \(offset): \(what)"
  }
}
