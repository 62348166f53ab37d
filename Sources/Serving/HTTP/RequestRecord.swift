import Synchronization

/// What an endpoint learned about its request, for the access log.
final class RequestRecord: Sendable {
  struct Facts: Sendable {
    var requestID = ""
    var streams = false
    /// Fields of its body that nothing asked for.
    var unknownFields: [String] = []
    var promptTokens: Int?
    var completionTokens: Int?
    var finishReasons: [String] = []
    var weightVersion: String?
    /// Why a streamed answer broke off after its status was sent.
    var failure: String?
    /// What the log says where it is not what was sent, such as 499.
    var status: Int?
  }
  private let facts = Mutex(Facts())
  private let gone = Mutex<Latch?>(nil)

  /// Opens when the client has gone. Kept here, because a connection that has ended no longer says who watched it.
  var clientGone: Latch? {
    get { gone.withLock { $0 } }
    set { gone.withLock { $0 = newValue } }
  }

  func note(_ change: (inout Facts) -> Void) { facts.withLock { change(&$0) } }
  var current: Facts { facts.withLock { $0 } }
}
