package import NIOCore
import NIOHTTP1
package import NIOHTTPTypes
import HTTPTypes

/// Watches one connection: cuts off clients that are too slow or whose bodies are nearly all framing, notices those that have gone,
/// answers what is no request, and ends a connection after an answer that says `Connection: close`.
///
/// Used on its event loop only. It stands behind the HTTP decoder, so it sees whole heads and body parts, and puts a
/// ``ConnectionIntake`` before it and a ``RequestPipelining`` behind it.
package final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
  package typealias InboundIn = HTTPRequestPart
  package typealias InboundOut = HTTPRequestPart
  package typealias OutboundIn = HTTPResponsePart
  package typealias OutboundOut = HTTPResponsePart

  package struct Limits: Sendable {
    package var header: Duration
    package var body: Duration
    package var writeStall: Duration
    /// In bytes: a client that announces a larger one gets no `100 Continue`.
    package var largestBody: Int

    package init(header: Duration, body: Duration, writeStall: Duration, largestBody: Int = .max) {
      (self.header, self.body, self.writeStall, self.largestBody) = (header, body, writeStall, largestBody)
    }
  }
  /// A client may close its sending half and still wait for a short answer; one that is generated for longer than this
  /// is taken to be for nobody. (Closing a socket looks the same from here until something is written to it.)
  static let halfCloseGrace: TimeAmount = .milliseconds(100)
  /// How long nothing may come of the bytes that nobody wants: they are read, so that the client gets to read its answer before the
  /// reset.
  static let lingerTime: TimeAmount = .seconds(1)
  /// How long they are read at all.
  static let longestLinger: TimeAmount = .seconds(10)
  /// Bytes of a body that are no payload: so many, and so many more for each byte of payload. (A byte in a chunk of its own has five.)
  private static let framing = (free: 64 << 10, perByte: 8)
  /// Body parts are put together up to about so many bytes.
  private static let gathered = 64 << 10

  private let limits: Limits
  private let intake: ConnectionIntake
  private let pipelining: RequestPipelining
  /// Opens when the connection has ended, or soon will.
  let clientGone = Latch()
  private var requestsInProgress = 0
  private var readDeadline: Scheduled<Void>?
  private var stallDeadline: Scheduled<Void>?
  private var graceDeadline: Scheduled<Void>?
  private var peerHasFinished = false
  private var closesAfterResponse = false
  private var isLingering = false
  /// Of the request that is being read: payload, and what the intake had passed on before it. Nil between requests.
  private var reading: (payload: Int, passedBefore: Int)?
  /// Parts of a body that are passed on as one: they may be of a byte each.
  private var gathered: ByteBuffer?

  package init(limits: Limits, inputRate: InputRate) {
    self.limits = limits
    intake = ConnectionIntake(rate: inputRate)
    pipelining = RequestPipelining(intake: intake)
  }

  package func handlerAdded(context: ChannelHandlerContext) {
    do {
      let pipeline = context.pipeline.syncOperations
      let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
      try pipeline.addHandler(intake, position: .before(decoder))
      try pipeline.addHandler(pipelining, position: .after(decoder))
      // So that a connection that has to wait holds little.
      try context.channel.syncOptions?.setOption(.maxMessagesPerRead, value: 1)
    } catch {
      context.fireErrorCaught(error)
      return context.close(promise: nil)
    }
    if context.channel.isActive { awaitHeader(context) }
  }

  package func channelActive(context: ChannelHandlerContext) {
    awaitHeader(context)
    context.fireChannelActive()
  }

  private func awaitHeader(_ context: ChannelHandlerContext) {
    limitReading(to: limits.header, context) { $0.close(promise: nil) }
  }

  /// Does something once the client has had so much time; what it was made to wait does not count.
  private func limitReading(to limit: Duration, _ context: ChannelHandlerContext, _ action: @escaping @Sendable (ChannelHandlerContext) -> Void) {
    readDeadline?.cancel()
    let now = context.eventLoop.now
    expire(at: now + TimeAmount(limit), excused: intake.waited(at: now), context, action)
  }
  private func expire(
    at deadline: NIODeadline, excused: TimeAmount, _ context: ChannelHandlerContext, _ action: @escaping @Sendable (ChannelHandlerContext) -> Void
  ) {
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    readDeadline = context.eventLoop.scheduleTask(deadline: deadline) {
      let (own, context) = bound.value
      let now = context.eventLoop.now
      let waited = own.intake.waited(at: now)
      if waited > excused { own.expire(at: now + (waited - excused), excused: waited, context, action) } else { action(context) }
    }
  }

  package func channelInactive(context: ChannelHandlerContext) {
    for task in [readDeadline, stallDeadline, graceDeadline] { task?.cancel() }
    clientGone.open()
    context.fireChannelInactive()
  }

  package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if isLingering { return }
    let part = unwrapInboundIn(data)
    switch part {
    case .head(let head):
      reading = (0, intake.passedBytes)
      requestsInProgress += 1
      // Clients that ask before they send a large body wait for this.
      if asksToGoOn(head) { context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil) }
      if peerHasFinished { awaitHalfClosed(context) }
      let seconds = Int(limits.body.components.seconds)
      // The endpoint that reads the body gets this, and answers 408.
      limitReading(to: limits.body, context) { $0.fireErrorCaught(APIError.bodyTooSlow(seconds: seconds)) }
    case .body(let bytes): return gather(bytes, context)
    case .end:
      passOnGathered(context)
      reading = nil
      readDeadline?.cancel()
      readDeadline = nil
    }
    context.fireChannelRead(data)
  }

  private func asksToGoOn(_ head: HTTPRequest) -> Bool {
    guard !pipelining.isOld, head.headerFields[.expect]?.lowercased() == "100-continue" else { return false }
    return head.headerFields[.contentLength].map { (Int($0) ?? .max) <= limits.largestBody } ?? true
  }

  /// Only answers of the engine end by this; what needs no engine is still sent.
  private func awaitHalfClosed(_ context: ChannelHandlerContext) {
    graceDeadline?.cancel()
    graceDeadline = context.eventLoop.scheduleTask(in: Self.halfCloseGrace) { [clientGone] in clientGone.open() }
  }

  private func gather(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
    reading?.payload += bytes.readableBytes
    if gathered?.writeImmutableBuffer(bytes) == nil { gathered = bytes }
    if let gathered, gathered.readableBytes >= Self.gathered { passOnGathered(context) }
  }
  private func passOnGathered(_ context: ChannelHandlerContext) {
    guard let bytes = gathered else { return }
    gathered = nil
    context.fireChannelRead(wrapInboundOut(.body(bytes)))
  }

  package func channelReadComplete(context: ChannelHandlerContext) {
    if isLingering {
      context.read()
    } else {
      passOnGathered(context)
      if let (payload, before) = reading, intake.passedBytes - before > Self.framing.free + Self.framing.perByte * payload {
        reading = nil
        context.fireErrorCaught(APIError.framing(perByte: Self.framing.perByte))
      }
    }
    context.fireChannelReadComplete()
  }

  package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is ConnectionIntake.PeerHasFinished {
      peerHasFinished = true
      if requestsInProgress > 0 { awaitHalfClosed(context) }
      return
    }
    if case ChannelEvent.inputClosed = event {
      passOnGathered(context)
      if isLingering { context.close(promise: nil) }
    }
    context.fireUserInboundEventTriggered(event)
  }

  package func errorCaught(context: ChannelHandlerContext, error: any Error) {
    passOnGathered(context)
    guard requestsInProgress == 0, !isLingering, let failure = Self.refusal(error) else {
      return context.fireErrorCaught(error)
    }
    let text = failure.json.serialized()
    let fields: HTTPFields = [
      .contentType: "application/json", .contentLength: String(text.utf8.count), .connection: "close",
      .requestID: "req_" + RandomID.hexadecimal(),
    ]
    requestsInProgress = 1
    write(
      context: context, data: wrapOutboundOut(.head(HTTPResponse(status: .init(code: failure.status), headerFields: fields))), promise: nil)
    context.write(wrapOutboundOut(.body(ByteBuffer(string: text))), promise: nil)
    write(context: context, data: wrapOutboundOut(.end(nil)), promise: nil)
  }

  private static func refusal(_ error: any Error) -> APIError? {
    switch error {
    case let error as RefusedRequest: error.reason
    case HTTPParserError.headerOverflow: .headerTooLarge
    case is HTTPParserError: .invalid(nil, "This is no HTTP/1.1 request: \(error).")
    default: nil
    }
  }

  package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .head(var head) where head.status.kind != .informational:
      // Where no length says where an answer ends, and there are no chunks, the connection's end does.
      let isOld = pipelining.isOld
      if !pipelining.mayPersist || (isOld && head.headerFields[.contentLength] == nil) { head.headerFields[.connection] = "close" }
      if head.headerFields[.connection] == "close" {
        closesAfterResponse = true
      } else if isOld {
        head.headerFields[.connection] = "keep-alive"
      }
      context.write(wrapOutboundOut(.head(head)), promise: promise)
    case .end:
      requestsInProgress -= 1
      graceDeadline?.cancel()
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
    gathered = nil
    reading = nil
    pipelining.discard()
    intake.discard()
    context.close(mode: .output, promise: nil)
    readDeadline?.cancel()
    let now = context.eventLoop.now
    awaitSilence(since: now, until: now + Self.longestLinger, context)
    context.read()
  }

  private func awaitSilence(since start: NIODeadline, until end: NIODeadline, _ context: ChannelHandlerContext) {
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    let deadline = min(end, max(start, intake.lastHeard) + Self.lingerTime)
    readDeadline = context.eventLoop.scheduleTask(deadline: deadline) {
      let (own, context) = bound.value
      if deadline < end, own.intake.lastHeard + Self.lingerTime > deadline {
        own.awaitSilence(since: start, until: end, context)
      } else {
        context.close(promise: nil)
      }
    }
  }

  package func channelWritabilityChanged(context: ChannelHandlerContext) {
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
