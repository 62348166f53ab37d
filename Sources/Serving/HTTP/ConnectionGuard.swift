import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import HTTPTypes

/// Watches one connection: cuts off clients that are too slow, slows those that send large bodies faster than they can be looked at,
/// notices those that have gone, and ends a connection whose last answer said `Connection: close`.
///
/// Used on its event loop only. It stands behind the HTTP decoder, so it sees whole heads and body parts.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  struct Limits: Sendable {
    var header: Duration
    var body: Duration
    var writeStall: Duration
  }
  /// A client may close its sending half and still wait for a short answer; one that is generated for longer than this
  /// is taken to be for nobody. (Closing a socket looks the same from here until something is written to it.)
  static let halfCloseGrace: TimeAmount = .milliseconds(100)
  /// How long nothing may come of the bytes that nobody wants: they are read, so that the client gets to read its answer before the
  /// reset.
  static let lingerTime: TimeAmount = .seconds(1)

  private let limits: Limits
  private let bodyRate: BodyRate
  /// Opens when the connection has ended, or soon will.
  let clientGone = Latch()
  private var requestsInProgress = 0
  private var readDeadline: Scheduled<Void>?
  private var stallDeadline: Scheduled<Void>?
  private var closesAfterResponse = false
  private var isLingering = false
  /// Of the request that is being read.
  private var bodyBytes = 0
  /// Nothing is read before.
  private var readsFrom: NIODeadline?
  private var delayedRead: Scheduled<Void>?

  init(limits: Limits, bodyRate: BodyRate) {
    self.limits = limits
    self.bodyRate = bodyRate
  }

  func handlerAdded(context: ChannelHandlerContext) {
    if context.channel.isActive { awaitHeader(context) }
  }

  func channelActive(context: ChannelHandlerContext) {
    awaitHeader(context)
    context.fireChannelActive()
  }

  private func awaitHeader(_ context: ChannelHandlerContext) {
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    readDeadline = context.eventLoop.scheduleTask(in: TimeAmount(limits.header)) { bound.value.close(promise: nil) }
  }

  func channelInactive(context: ChannelHandlerContext) {
    readDeadline?.cancel()
    stallDeadline?.cancel()
    delayedRead?.cancel()
    clientGone.open()
    context.fireChannelInactive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let part = unwrapInboundIn(data)
    if case .body(let bytes) = part { count(bytes.readableBytes) }
    if isLingering { return awaitEndOfLingering(context) }
    switch part {
    case .head(let head):
      bodyBytes = 0
      requestsInProgress += 1
      // Clients that ask before they send a large body wait for this.
      if head.headerFields[.expect]?.lowercased() == "100-continue", requestsInProgress == 1 {
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
      }
      readDeadline?.cancel()
      let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
      let seconds = Int(limits.body.components.seconds)
      readDeadline = context.eventLoop.scheduleTask(in: TimeAmount(limits.body)) {
        // The endpoint that reads the body gets this, and answers 408.
        bound.value.fireErrorCaught(APIError.bodyTooSlow(seconds: seconds))
      }
    case .body: break
    case .end:
      readDeadline?.cancel()
      readDeadline = nil
    }
    context.fireChannelRead(data)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case ChannelEvent.inputClosed = event {
      if isLingering {
        context.close(promise: nil)
      } else if requestsInProgress > 0 {
        // Only answers of the engine end by this; what needs no engine is still sent.
        context.eventLoop.scheduleTask(in: Self.halfCloseGrace) { [clientGone] in clientGone.open() }
      }
    }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard error is HTTPParserError, requestsInProgress == 0, !isLingering else {
      return context.fireErrorCaught(error)
    }
    let failure: APIError =
      error as? HTTPParserError == .headerOverflow ? .headerTooLarge : .invalid(nil, "This is no HTTP/1.1 request: \(error).")
    let text = failure.json.serialized()
    let fields: HTTPFields = [
      .contentType: "application/json", .contentLength: String(text.utf8.count), .connection: "close",
    ]
    requestsInProgress = 1
    write(
      context: context, data: wrapOutboundOut(.head(HTTPResponse(status: .init(code: failure.status), headerFields: fields))), promise: nil)
    context.write(wrapOutboundOut(.body(ByteBuffer(string: text))), promise: nil)
    write(context: context, data: wrapOutboundOut(.end(nil)), promise: nil)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .head(let head) where head.headerFields[.connection] == "close":
      closesAfterResponse = true
      context.write(data, promise: promise)
    case .end:
      requestsInProgress -= 1
      if closesAfterResponse {
        context.writeAndFlush(data, promise: promise)
        linger(context)
      } else {
        context.write(data, promise: promise)
      }
    default: context.write(data, promise: promise)
    }
  }

  /// Says that nothing more will come, and reads what the client still sends for a moment: closing at once would
  /// reset the connection and could take the answer with it.
  private func linger(_ context: ChannelHandlerContext) {
    isLingering = true
    context.close(mode: .output, promise: nil)
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    context.eventLoop.scheduleTask(in: TimeAmount(limits.body)) { bound.value.close(promise: nil) }
    awaitEndOfLingering(context)
    read(context: context)
  }

  private func awaitEndOfLingering(_ context: ChannelHandlerContext) {
    readDeadline?.cancel()
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    let start = max(.now(), readsFrom ?? .now())
    readDeadline = context.eventLoop.scheduleTask(deadline: start + Self.lingerTime) { bound.value.close(promise: nil) }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    if isLingering { read(context: context) }
    context.fireChannelReadComplete()
  }

  private func count(_ byteCount: Int) {
    bodyBytes += byteCount
    if bodyBytes > BodyRate.uncounted { readsFrom = bodyRate.take(byteCount) }
  }

  /// Whoever wants to read, the pipeline or this handler, waits until this connection may.
  func read(context: ChannelHandlerContext) {
    guard let start = readsFrom, start > .now() else { return context.read() }
    guard delayedRead == nil else { return }
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    let own = NIOLoopBound(self, eventLoop: context.eventLoop)
    delayedRead = context.eventLoop.scheduleTask(deadline: start) {
      own.value.delayedRead = nil
      bound.value.read()
    }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    stallDeadline?.cancel()
    stallDeadline = nil
    if !context.channel.isWritable {
      let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
      stallDeadline = context.eventLoop.scheduleTask(in: TimeAmount(limits.writeStall)) {
        bound.value.close(promise: nil)
      }
    }
    context.fireChannelWritabilityChanged()
  }
}

extension ConnectionGuard {
  /// Opens when the client at the other end of `channel` has gone; nil where nobody watches, as in tests without sockets.
  static func clientGone(on channel: any Channel) async -> Latch? {
    try? await channel.eventLoop.submit {
      try channel.pipeline.syncOperations.handler(type: ConnectionGuard.self).clientGone
    }.get()
  }
}
