import Synchronization

/// What an endpoint learned about its request, for the access log.
final class RequestRecord: Sendable {
  struct Facts: Sendable {
    var requestID = ""
    var streams = false
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

  func note(_ change: (inout Facts) -> Void) { facts.withLock { change(&$0) } }
  var current: Facts { facts.withLock { $0 } }
}
