import Hummingbird
import NIOCore

/// What travels with a request through middleware and endpoint.
struct ServingContext: RequestContext {
  typealias Source = ApplicationRequestContextSource
  var coreContext: CoreRequestContextStorage
  let channel: any Channel
  let record = RequestRecord()

  init(source: ApplicationRequestContextSource) {
    coreContext = CoreRequestContextStorage(source: source)
    channel = source.channel
  }
}
