import Hummingbird
import NIOCore

/// What travels with a request through middleware and endpoint.
struct ServingContext: RequestContext {
  typealias Source = ApplicationRequestContextSource
  var coreContext: CoreRequestContextStorage
  let channel: any Channel
  let record = RequestRecord()

  /// Opens when the client has gone; nil where nobody watches, as in tests without sockets.
  func clientGone() async -> Latch? {
    if let known = record.clientGone { return known }
    let found = await ConnectionGuard.clientGone(on: channel)
    record.clientGone = found
    return found
  }

  init(source: ApplicationRequestContextSource) {
    coreContext = CoreRequestContextStorage(source: source)
    channel = source.channel
  }
}
