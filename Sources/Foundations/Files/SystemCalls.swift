import CSystemCalls
import SystemPackage

/// The one door to the system: every call on a file that Drydock makes goes through here.
///
/// Each function names its libc call in the errors it throws. `path` is for messages where a call takes none.
enum SystemCalls {
  static func open(_ path: FilePath) throws(FileError) -> Int32 {
    try check(path, "open", unsafe path.withCString { unsafe drydock_open($0, DRYDOCK_READ) })
  }
  /// Fails with `EEXIST` where there is something already.
  static func create(_ path: FilePath) throws(FileError) -> Int32 {
    try check(path, "open", unsafe path.withCString { unsafe drydock_open($0, DRYDOCK_CREATE) })
  }
  static func openDirectory(_ path: FilePath) throws(FileError) -> Int32 {
    try check(path, "open", unsafe path.withCString { unsafe drydock_open($0, DRYDOCK_OPEN_DIRECTORY) })
  }
  static func close(_ file: Int32, path: FilePath) throws(FileError) {
    _ = try check(path, "close", drydock_close(file))
  }

  static func status(_ path: FilePath, following: Bool) throws(FileError) -> FileStatus {
    var status = drydock_status()
    _ = try check(path, "stat", unsafe path.withCString { unsafe drydock_status_at($0, following ? 1 : 0, &status) })
    return FileStatus(status)
  }
  static func status(of file: Int32, path: FilePath) throws(FileError) -> FileStatus {
    var status = drydock_status()
    _ = try check(path, "fstat", unsafe drydock_status_of(file, &status))
    return FileStatus(status)
  }

  /// - Throws: Where nothing may be made in the directory.
  static func requireRoom(in directory: FilePath) throws(FileError) {
    _ = try check(directory, "access", unsafe directory.withCString { unsafe drydock_may_make_in($0) })
  }

  static func copyPermissions(_ from: FilePath, to: FilePath) throws(FileError) {
    let result = unsafe from.withCString { from in unsafe to.withCString { to in unsafe drydock_copy_permissions(from, to) } }
    _ = try check(to, "chmod", result)
  }

  static func read(
    _ file: Int32, at offset: Int, into bytes: UnsafeMutableRawBufferPointer, path: FilePath
  ) throws(FileError) -> Int {
    Int(try check(path, "pread", unsafe drydock_read_at(file, bytes.baseAddress, bytes.count, Int64(offset))))
  }
  static func write(
    _ file: Int32, at offset: Int, _ bytes: UnsafeRawBufferPointer, path: FilePath
  ) throws(FileError) -> Int {
    Int(try check(path, "pwrite", unsafe drydock_write_at(file, bytes.baseAddress, bytes.count, Int64(offset))))
  }
  /// Not an error but a number below 0 (a negated errno): the caller has another way.
  static func copyRange(from: Int32, at: Int, to: Int32, at target: Int, count: Int) -> Int {
    Int(drydock_copy_range(from, Int64(at), to, Int64(target), count))
  }
  static func cloneRange(from: Int32, at: Int, to: Int32, at target: Int, count: Int) -> Bool {
    drydock_clone_range(from, Int64(at), to, Int64(target), Int64(count)) == 0
  }
  static func setSize(_ file: Int32, _ byteCount: Int, path: FilePath) throws(FileError) {
    _ = try check(path, "ftruncate", drydock_set_size(file, Int64(byteCount)))
  }
  static func sync(_ file: Int32, path: FilePath) throws(FileError) {
    _ = try check(path, "fsync", drydock_sync(file))
  }

  /// A hint: the disk may begin before ``sync(_:path:)`` waits for it.
  static func startWriting(_ file: Int32, at offset: Int, count: Int) {
    drydock_start_writing(file, Int64(offset), Int64(count))
  }

  static func makeDirectory(_ path: FilePath) throws(FileError) {
    _ = try check(path, "mkdir", unsafe path.withCString { unsafe drydock_make_directory($0) })
  }
  /// Readable for its owner alone.
  static func makePrivateDirectory(_ path: FilePath) throws(FileError) {
    _ = try check(path, "mkdir", unsafe path.withCString { unsafe drydock_make_private_directory($0) })
  }
  static func touch(_ path: FilePath) throws(FileError) {
    _ = try check(path, "utimensat", unsafe path.withCString { unsafe drydock_touch($0) })
  }
  static func freeSpace(_ path: FilePath) throws(FileError) -> Int {
    Int(try check(path, "statvfs", unsafe path.withCString { unsafe drydock_free_space($0) }))
  }
  static func removeFile(_ path: FilePath) throws(FileError) {
    _ = try check(path, "unlink", unsafe path.withCString { unsafe drydock_remove_file($0) })
  }
  static func removeDirectory(_ path: FilePath) throws(FileError) {
    _ = try check(path, "rmdir", unsafe path.withCString { unsafe drydock_remove_directory($0) })
  }
  static func link(_ existing: FilePath, to path: FilePath) throws(FileError) {
    _ = try check(path, "link", unsafe two(existing, path) { unsafe drydock_link($0, $1) })
  }
  static func rename(_ from: FilePath, to path: FilePath) throws(FileError) {
    _ = try check(path, "rename", unsafe two(from, path) { unsafe drydock_rename($0, $1) })
  }
  /// `EEXIST` where `path` exists, `EINVAL` where the file system cannot tell.
  static func renameNew(_ from: FilePath, to path: FilePath) throws(FileError) {
    _ = try check(path, "renameat2", unsafe two(from, path) { unsafe drydock_rename_new($0, $1) })
  }
  /// Gives a directory a name that nothing has; `EEXIST` where something has it.
  ///
  /// Where the file system cannot tell, by a plain rename, which replaces nothing but an empty directory.
  static func renameDirectory(_ from: FilePath, toNew path: FilePath) throws(FileError) {
    do throws(FileError) { return try renameNew(from, to: path) } catch {
      guard error.isOfCall else { throw error }
    }
    do throws(FileError) { try rename(from, to: path) } catch {
      guard error.errno == .directoryNotEmpty || error.errno == .notDirectory else { throw error }
      throw FileError(path, .system(call: "rename", .fileExists))
    }
  }
  static func exchange(_ one: FilePath, with path: FilePath) throws(FileError) {
    _ = try check(path, "renameat2", unsafe two(one, path) { unsafe drydock_exchange($0, $1) })
  }
  static func lock(_ file: Int32, waiting: Bool, path: FilePath) throws(FileError) {
    _ = try check(path, "flock", drydock_lock(file, waiting ? 1 : 0))
  }
  /// Waits while another holds the file exclusively.
  static func lockShared(_ file: Int32, path: FilePath) throws(FileError) {
    _ = try check(path, "flock", drydock_lock_shared(file))
  }

  /// Names in a directory, sorted, without `.` and `..`. A name that is not UTF-8 is an error.
  static func list(_ path: FilePath) throws(FileError) -> [String] {
    var block: UnsafeMutablePointer<CChar>?
    var byteCount = 0
    _ = try check(path, "opendir", unsafe path.withCString { unsafe drydock_list($0, &block, &byteCount) })
    defer { unsafe drydock_free(block) }
    var names: [String] = []
    let pieces = unsafe UnsafeRawBufferPointer(start: block, count: byteCount).split(separator: 0)
    for index in unsafe pieces.indices {
      guard let name = unsafe String(validating: pieces[index], as: UTF8.self) else {
        throw FileError(path, .refused(reason: "holds a file whose name is not UTF-8. Rename it."))
      }
      names.append(name)
    }
    return names.sorted()
  }
  /// The absolute path with symbolic links followed; everything in it must exist.
  static func resolve(_ path: FilePath) throws(FileError) -> FilePath {
    var block: UnsafeMutablePointer<CChar>?
    _ = try check(path, "realpath", unsafe path.withCString { unsafe drydock_resolve($0, &block) })
    defer { unsafe drydock_free(block) }
    guard let text = unsafe block else { throw FileError(path, .system(call: "realpath", .noMemory)) }
    return unsafe FilePath(platformString: text)
  }

  static func map(_ file: Int32, byteCount: Int, path: FilePath) throws(FileError) -> UnsafeRawPointer {
    var address: UnsafeMutableRawPointer?
    _ = try check(path, "mmap", unsafe drydock_map(file, byteCount, &address))
    guard let address = unsafe address else { throw FileError(path, .system(call: "mmap", .noMemory)) }
    return UnsafeRawPointer(address)
  }
  static func unmap(_ address: UnsafeRawPointer, byteCount: Int) {
    unsafe _ = drydock_unmap(UnsafeMutableRawPointer(mutating: address), byteCount)
  }

  private static func two(
    _ one: FilePath, _ other: FilePath, _ call: (UnsafePointer<CChar>, UnsafePointer<CChar>) -> Int32
  ) -> Int32 {
    unsafe one.withCString { first in unsafe other.withCString { second in unsafe call(first, second) } }
  }
  private static func check<Number: FixedWidthInteger>(
    _ path: FilePath, _ call: String, _ result: Number
  ) throws(FileError) -> Number {
    if result < 0 { throw FileError(path, .system(call: call, Errno(rawValue: CInt(0 - result)))) }
    return result
  }
}

/// What a path leads to.
package struct FileStatus: Equatable, Sendable {
  package enum Kind: Sendable { case regular, directory, symbolicLink, other }
  package let kind: Kind
  package let byteCount: Int
  /// Bytes that it takes on the disk: fewer where parts were never written.
  package let allocatedByteCount: Int
  /// Device and inode: equal for two paths exactly when they lead to one file.
  package let device: UInt64
  package let inode: UInt64

  init(_ status: drydock_status) {
    kind =
      switch status.kind {
      case DRYDOCK_REGULAR: .regular
      case DRYDOCK_DIRECTORY: .directory
      case DRYDOCK_SYMBOLIC_LINK: .symbolicLink
      default: .other
      }
    byteCount = Int(status.byte_count)
    allocatedByteCount = Int(status.allocated_byte_count)
    device = status.device
    inode = status.inode
  }
  package func isSameFile(as other: FileStatus) -> Bool { device == other.device && inode == other.inode }
}

extension FileError {
  var errno: Errno? { if case .system(_, let error) = problem { error } else { nil } }
  /// Whether the file system or kernel lacks the call or its flags.
  var isOfCall: Bool { errno == .invalidArgument || errno == .noFunction || errno == .notSupported }
}
