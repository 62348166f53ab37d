#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The process's environment.
enum Environment {
  static subscript(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }

  /// Overwrites a variable's value where it lies, which the system shows to others, and removes it.
  static func clear(_ name: String) {
    guard let value = unsafe getenv(name) else { return }
    unsafe memset(value, 0, strlen(value))
    unsafe unsetenv(name)
  }
}
