import CSystemCalls

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The processors that this process may use: what `taskset`, cpusets and the quotas of control groups leave it.
public enum Processors {
  /// At least 1; a fraction of a processor counts as a whole one.
  public static let count = count(root: "")

  /// Bytes of memory that can be used without swapping; nil where nothing says. It changes from moment to moment.
  public static var availableMemory: Int? { availableMemory(root: "") }

  /// Bytes of memory that the machine has, in use or not; nil where the system does not say.
  public static var machineMemory: Int? {
    let (pages, size) = (sysconf(Int32(_SC_PHYS_PAGES)), sysconf(Int32(_SC_PAGESIZE)))
    let (bytes, overflow) = pages.multipliedReportingOverflow(by: size)
    return pages > 0 && size > 0 && !overflow ? bytes : nil
  }

  /// Workers for a job whose every worker needs memory of its own: one a processor, but no more than half of the memory
  /// that is available has room for.
  ///
  /// - Parameter memory: Bytes for each.
  public static func workers(memory: Int) -> Int { workers(memory: memory, count: count, available: availableMemory) }

  package static func workers(memory: Int, count: Int, available: Int?) -> Int {
    guard let available else { return count }
    return max(1, min(count, available / 2 / max(1, memory)))
  }
  /// - Parameter root: A directory that stands for `/`; empty for the system's own.
  package static func count(root: String) -> Int { unsafe Int(drydock_processor_count(root)) }
  package static func availableMemory(root: String) -> Int? {
    let bytes = unsafe Int(drydock_available_memory(root))
    return bytes > 0 ? bytes : nil
  }
}
