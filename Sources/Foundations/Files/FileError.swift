public import SystemPackage

/// What went wrong with a file or directory, and how to mend it.
public struct FileError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What went wrong, by how it can be mended.
  public enum Problem: Equatable, Sendable {
    /// A system call failed.
    case system(call: String, Errno)
    /// Something else lies where a directory was to be.
    case notADirectory
    /// A directory, pipe or device lies where a file was to be.
    case notARegularFile
    /// The small text that stands for a large file in a Git repository.
    case gitLFSPointer
    /// The file ends before bytes that were asked for.
    case truncated(wanted: Range<Int>, byteCount: Int)
    /// Another run holds the output.
    case locked
    /// The output would touch something that must stay as it is.
    case refused(reason: String)
  }
  /// What it is about; while an output is written, that may lie in the hidden directory beside the target.
  public let path: FilePath
  /// See ``reason`` for it in words.
  public let problem: Problem

  /// - Parameter path: As messages show it; it need not exist.
  public init(_ path: FilePath, _ problem: Problem) {
    self.path = path
    self.problem = problem
  }

  public var description: String {
    switch problem {
    case .system(let call, let error): "\(path.inMessage): \(call) failed: \(error). \(Self.remedy(error))"
    case .notADirectory: "\(path.inMessage): not a directory. Name a directory."
    case .notARegularFile: "\(path.inMessage): not a regular file. Name a file."
    case .gitLFSPointer: "\(path.inMessage): this is a Git LFS pointer, not the file itself. Run 'git lfs pull' in its directory."
    case .truncated(let wanted, let byteCount):
      "\(path.inMessage): bytes \(wanted.lowerBound) to \(wanted.upperBound) are needed, but the file has only \(byteCount). "
        + "It is cut short: copy or download it again."
    case .locked: "\(path.inMessage): another run is writing here. Wait for it to end, or choose another output."
    case .refused(let reason): "\(path.inMessage): \(reason)"
    }
  }

  /// What went wrong, without the path.
  public var reason: String {
    switch problem {
    case .system(_, let error): "\(error)"
    case .notADirectory: "not a directory"
    case .notARegularFile: "not a regular file"
    case .gitLFSPointer: "a Git LFS pointer"
    case .truncated: "cut short"
    case .locked: "another run is writing there"
    case .refused(let reason): reason.hasSuffix(".") ? String(reason.dropLast()) : reason
    }
  }

  private static func remedy(_ error: Errno) -> String {
    switch error {
    case .noSuchFileOrDirectory: "Check the path."
    case .permissionDenied, .notPermitted: "Check its permissions and owner."
    case .noSpace, .diskQuotaExceeded: "Free some space or choose another disk; nothing was replaced."
    case .readOnlyFileSystem: "Choose an output on a writable disk."
    case .ioError: "The disk reports a fault: check it and the system log."
    case .tooManyOpenFiles, .tooManyOpenFilesInSystem: "Raise the limit on open files (ulimit -n)."
    case .fileNameTooLong: "Choose a shorter path."
    default: "Check the disk and the path."
    }
  }
}

extension FilePath {
  /// For one line of a message: a name may hold a line's end, and what follows must not pass for a message of its own.
  public var inMessage: String { string.inMessage }
}
extension String {
  /// With line ends spelt out, and without its middle where that would make a line too long to read.
  public var inMessage: String {
    guard count <= 120 else { return "\(prefix(50))…\(suffix(69))".withoutLineEnds }
    return withoutLineEnds
  }
  private var withoutLineEnds: String {
    guard utf8.contains(where: { $0 == 0x0A || $0 == 0x0D }) else { return self }
    return unicodeScalars.reduce(into: "") { $0 += $1 == "\n" ? "\\n" : $1 == "\r" ? "\\r" : String($1) }
  }
}
