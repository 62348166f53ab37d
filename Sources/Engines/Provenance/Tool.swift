#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What this program calls itself in files and answers.
public enum Tool {
  /// Of this program, `config.json`'s `version`: engines of one version are planned alike.
  public static let version = "0.1.0"
  /// `drydock` and the version: what lineages name, and what tells cached engines of versions apart.
  public static let name = "drydock \(version)"

  /// The time in UTC to the second, `2026-11-21T21:12:00Z`.
  public static func timestamp() -> String {
    var now = time(nil)
    var parts = unsafe tm()
    _ = unsafe gmtime_r(&now, &parts)
    func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let date = "\(unsafe parts.tm_year + 1900)-\(two(unsafe parts.tm_mon + 1))-\(two(unsafe parts.tm_mday))"
    return "\(date)T\(two(unsafe parts.tm_hour)):\(two(unsafe parts.tm_min)):\(two(unsafe parts.tm_sec))Z"
  }
}
