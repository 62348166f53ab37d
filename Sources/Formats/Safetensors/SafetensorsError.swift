public import JSON
public import Files
public import SystemPackage

/// Why a file is not safetensors, or why a tensor cannot be read from or written to one.
public struct SafetensorsError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What is wrong with a file or its header, or with what was asked of it. Its ``description`` is the message without the path.
  public enum Problem: Equatable, Sendable {
    /// Too short for the 8 bytes that give the header's size.
    case tooShort(byteCount: Int)
    /// A file of another kind: what it is and what to do, without a full stop.
    case foreign(String)
    /// The header alone would be larger than the format allows, which is 100 000 000 bytes.
    case headerTooLarge(byteCount: UInt64)
    /// The header that the first 8 bytes announce is longer than the file.
    case headerBeyondEnd(headerByteCount: Int, fileByteCount: Int)
    /// The header must be one JSON object that starts at its first byte and is padded with spaces only.
    case headerNotAnObject
    /// Another byte than a space behind the header's object.
    case headerPadding(byte: UInt8)
    /// The header is not JSON.
    case json(JSONError)
    /// A member of the header is not what the format asks for.
    case field(tensor: String, reason: String)
    /// An element type that safetensors 0.8 does not have.
    case unknownElementType(tensor: String, name: String)
    /// An extent or the tensor's size does not fit, or its elements do not fill whole bytes.
    case shape(tensor: String, shape: [Int])
    /// A tensor's byte range is not as long as its shape and type need.
    case extent(tensor: String, declared: Range<Int>, needed: Int)
    /// A tensor's end lies before its beginning.
    case reversedOffsets(tensor: String, begin: Int, end: Int)
    /// Tensors must follow each other without holes or overlaps.
    case hole(tensor: String, expected: Int, begin: Int)
    /// A tensor begins before the one in front of it ends.
    case overlap(tensor: String, expected: Int, begin: Int)
    /// Tensors take more, or fewer, bytes than follow the header.
    case dataSize(declared: Int, actual: Int)
    /// A writer was given one name twice.
    case duplicateTensor(String)
    /// A writer was given a tensor called `__metadata__`.
    case reservedName
    /// No tensor has the name; `nearest` is one that is spelled much like it.
    case missingTensor(String, nearest: String?)
    /// Rows that were asked for and that the tensor does not have.
    case rows(tensor: String, rows: Range<Int>, rowCount: Int)
    /// Rows of elements narrower than a byte that do not start at bytes.
    case unaddressableRows(tensor: String)
    /// A buffer of another size than the rows that are read or written.
    case bufferSize(tensor: String, expected: Int, actual: Int)
    /// The file cannot be opened, read or written.
    case file(FileError)
  }
  /// The file.
  public let path: FilePath
  /// What is wrong with it.
  public let problem: Problem

  /// - Parameter path: As messages show it; it need not exist.
  public init(_ path: FilePath, _ problem: Problem) {
    self.path = path
    self.problem = problem
  }

  public var description: String {
    if case .file(let error) = problem { return error.description }
    return "\(path): \(problem)"
  }
}

extension SafetensorsError.Problem: CustomStringConvertible {
  public var description: String {
    let again = "Copy, download or convert it again."
    return switch self {
    case .tooShort(0): "the file is empty. \(again)"
    case .tooShort(let count): "not a safetensors file: it has \(count) bytes, fewer than the 8 that give the header's size. \(again)"
    case .foreign(let what): "not a safetensors file: \(what)."
    case .headerTooLarge(let count):
      "not a safetensors file: its first 8 bytes give a header of \(count) bytes, and 100000000 is the most the format allows. \(again)"
    case .headerBeyondEnd(let header, let file):
      "the header should take \(header) bytes after the first 8, but the file has only \(file). It is cut short. \(again)"
    case .headerNotAnObject: "not a safetensors file: the header does not start with '{'. \(again)"
    case .headerPadding(let byte): "the header is padded with byte 0x\(String(byte, radix: 16)); only spaces are allowed. \(again)"
    case .json(let error): "the header: \(error). \(again)"
    case .field(let tensor, let reason): "tensor '\(tensor)': \(reason). \(again)"
    case .unknownElementType(let tensor, let name):
      "tensor '\(tensor)' has the unknown element type '\(name)'. A newer version of the format may define it."
    case .shape(let tensor, let shape):
      "tensor '\(tensor)' has the impossible shape \(shape): its size overflows or does not fill whole bytes. \(again)"
    case .extent(let tensor, let declared, let needed):
      "tensor '\(tensor)' lies at bytes \(declared.lowerBound) to \(declared.upperBound), which are \(declared.count) bytes, "
        + "but its shape and type need \(needed). \(again)"
    case .reversedOffsets(let tensor, let begin, let end): "tensor '\(tensor)' begins at \(begin) and ends before that, at \(end). \(again)"
    case .hole(let tensor, let expected, let begin):
      "tensor '\(tensor)' begins at \(begin), but the one before it ends at \(expected): bytes between them belong to none. \(again)"
    case .overlap(let tensor, let expected, let begin):
      "tensor '\(tensor)' begins at \(begin), inside the one before it, which ends at \(expected). \(again)"
    case .dataSize(let declared, let actual):
      declared > actual
        ? "the tensors take \(declared) bytes, but the file holds only \(actual) after its header. It is cut short. \(again)"
        : "the tensors take \(declared) bytes, but \(actual) follow the header: some belong to no tensor. \(again)"
    case .duplicateTensor(let name): "the name '\(name)' is given to two tensors. Rename one."
    case .reservedName: "no tensor may be called '__metadata__'. Rename it."
    case .missingTensor(let name, let nearest):
      "no tensor '\(name)'." + (nearest.map { " Did you mean '\($0)'?" } ?? "")
    case .rows(let tensor, let rows, let count): "tensor '\(tensor)' has \(count) rows; \(rows) were asked for."
    case .unaddressableRows(let tensor): "rows of tensor '\(tensor)' do not start at whole bytes. Read the whole tensor."
    case .bufferSize(let tensor, let expected, let actual):
      "rows of tensor '\(tensor)' take \(expected) bytes, but the buffer has \(actual)."
    case .file(let error): error.description
    }
  }
}
