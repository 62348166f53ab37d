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

  /// Bytes of memory that can be used without taking them from others, within the limits of all control groups that this
  /// process is in; nil where nothing says. It changes from moment to moment. Pages of files count as free.
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
  package static func count(root: String) -> Int {
    let allowed = Int(drydock_processor_count())
    let thousandths = ControlGroups(root: root).folders("cpu").compactMap(quota).min()
    return max(1, min(allowed, thousandths.map { ($0 + 999) / 1000 } ?? allowed))
  }
  package static func availableMemory(root: String) -> Int? { AvailableMemory(root: root).byteCount }

  /// A group's own limit of processor time in thousandths of a processor; nil for none. Version 2, then version 1.
  private static func quota(_ group: String) -> Int? {
    let numbers: [Int?]
    if let both = KernelFile.numbers(group + "/cpu.max") {
      numbers = both
    } else {
      guard let quota = KernelFile.numbers(group + "/cpu.cfs_quota_us"), let period = KernelFile.numbers(group + "/cpu.cfs_period_us") else { return nil }
      numbers = [quota.first ?? nil, period.first ?? nil]
    }
    guard numbers.count == 2, let quota = numbers[0], let period = numbers[1], (1..<1_000_000_000_000_000).contains(quota), period > 0
    else { return nil }
    // Less than a thousandth is none, as the period of a damaged file may be.
    let share = quota * 1000 / period
    return share > 0 ? share : nil
  }
}
