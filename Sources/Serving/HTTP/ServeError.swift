import NIOCore
#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

/// Why the server cannot listen.
public struct ServeError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What stands in the way.
  public enum Problem: Equatable, Sendable {
    /// `EADDRINUSE`: something listens there.
    case portInUse
    /// `EACCES` or `EPERM`: ports below 1024 are for the administrator.
    case notPermitted
    /// The name does not resolve, or the address is not this machine's.
    case noSuchAddress
    /// Another reason: a clause without a full stop.
    case cannotListen(String)
    /// PEM files that cannot be read or do not fit each other: a clause without a full stop.
    case certificates(String)
    /// This program was built without TLS.
    case withoutTLS
  }
  /// As ``ServerOptions/host`` had it; empty where the problem is not about it.
  public let host: String
  /// As ``ServerOptions/port`` had it.
  public let port: Int
  /// What stands in the way.
  public let problem: Problem

  /// - Parameter host: Empty where the problem is not about an address.
  public init(host: String, port: Int, problem: Problem) {
    self.host = host
    self.port = port
    self.problem = problem
  }

  public var description: String {
    switch problem {
    case .portInUse:
      "cannot listen on \(host), port \(port): another program uses this port. Stop it, or choose another with --port."
    case .notPermitted:
      "cannot listen on \(host), port \(port): not permitted. Ports below 1024 are for the administrator; choose a higher one with --port."
    case .noSuchAddress:
      "cannot listen on \(host), port \(port): this machine has no such address. Give one of its own with --host, such as localhost or 0.0.0.0."
    case .cannotListen(let why): "cannot listen on \(host), port \(port): \(why)."
    case .certificates(let why):
      "cannot use TLS: \(why). Give PEM files that hold the certificate chain and its private key."
    case .withoutTLS:
      "cannot use TLS: this program was built without it. Install it with Scripts/install, or put a proxy with TLS in front."
    }
  }

  /// Nil where the error has nothing to do with listening.
  init?(_ error: any Error, host: String, port: Int) {
    switch error {
    case let error as ServeError: self = error
    case let error as IOError where error.errnoCode == EADDRINUSE: self.init(host: host, port: port, problem: .portInUse)
    case let error as IOError where error.errnoCode == EACCES || error.errnoCode == EPERM:
      self.init(host: host, port: port, problem: .notPermitted)
    case let error as IOError where error.errnoCode == EADDRNOTAVAIL:
      self.init(host: host, port: port, problem: .noSuchAddress)
    case is SocketAddressError.UnknownHost, is SocketAddressError:
      self.init(host: host, port: port, problem: .noSuchAddress)
    default: return nil
    }
  }
}
