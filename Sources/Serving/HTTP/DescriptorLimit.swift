#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// How many files and connections this process may have open at once.
public enum DescriptorLimit {
  #if canImport(Glibc)
    private static let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
  #else
    private static let resource = RLIMIT_NOFILE
  #endif

  /// Files and connections that may be open now; 1024 where the system does not say.
  public static var current: Int {
    var limit = rlimit()
    guard unsafe getrlimit(resource, &limit) == 0 else { return 1024 }
    return Int(clamping: limit.rlim_cur)
  }

  /// Lifts the limit to what the system allows without more rights; many systems begin with 1,024 for the sake of old
  /// programs. For the whole process, so it is the program's to ask for.
  public static func raise() {
    var limit = rlimit()
    guard unsafe getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(resource, &limit)
  }

  /// Descriptors that are not for connections: logs, weights that are read, event loops.
  private static let reserve = 128

  /// As many connections as are wanted and can be had.
  static func connections(wanted: Int) -> Int { max(16, min(wanted, current - reserve)) }
}
