import NIOHTTP1

/// What RFC 9110 and 9112 say about a request's head, as far as the decoder does not see to it.
enum RequestRules {
  /// In bytes, query included. Whatever looks at a target walks it, some of it character by character.
  static let longestTarget = 8 << 10

  /// Why a request is not looked at any further; nil where it is. Its connection ends then.
  static func refusal(of head: HTTPRequestHead) -> APIError? {
    if head.uri.utf8.count > longestTarget { return .targetTooLong(limit: longestTarget) }
    if head.method == .CONNECT { return .notImplemented("This server is no proxy; it does not implement CONNECT.") }
    let hosts = head.headers["host"]
    guard hosts.count == 1 || (hosts.isEmpty && isOld(head)) else {
      return .wrongHead("An HTTP/1.1 request needs exactly one header 'Host'; there were \(hosts.count).")
    }
    guard hosts.allSatisfy({ $0.utf8.allSatisfy(isOfHost) }) else {
      return .wrongHead("The header 'Host' must be a name or an address, with a port or without.")
    }
    let codings = head.headers["transfer-encoding"]
    guard codings.isEmpty || (codings.count == 1 && codings[0].utf8.count < 16 && codings[0].lowercased() == "chunked") else {
      return .notImplemented("The only transfer coding here is 'chunked'.")
    }
    return nil
  }

  static func isOld(_ head: HTTPRequestHead) -> Bool { head.version == .http1_0 }

  /// Whether the connection may serve another request after this one. (What follows a request that asks for another protocol is not
  /// decoded, as it could be of that one.)
  static func mayPersist(_ head: HTTPRequestHead) -> Bool {
    let lists = head.headers["connection"]
    // Nobody has so many options; taking 80 KB of commas apart takes milliseconds.
    guard lists.reduce(0, { $0 + $1.utf8.count }) <= longestOptions, !head.headers.contains(name: "upgrade") else { return false }
    let options = lists.flatMap { $0.lowercased().split { $0 == "," || $0 == " " || $0 == "\t" } }
    if options.contains("close") { return false }
    // Framing by chunks is not to be trusted in the older version.
    return !isOld(head) || (options.contains("keep-alive") && !head.headers.contains(name: "transfer-encoding"))
  }
  /// In bytes.
  private static let longestOptions = 512

  /// Names, addresses and ports (RFC 3986), which holds no user.
  private static func isOfHost(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    default: hostMarks.contains(byte)
    }
  }
  private static let hostMarks = Set("-._~%!$&'()*+;=:[]".utf8)
}

/// A request that is answered where the connection is watched, without ever coming to an endpoint.
struct RefusedRequest: Error {
  let reason: APIError
}
