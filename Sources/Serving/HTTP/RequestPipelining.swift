import NIOCore
import NIOHTTP1

/// Passes the requests of one connection on one at a time, in turns of the event loop, and refuses those that HTTP forbids.
///
/// A client may send hundreds of requests in one write. If all came to the endpoints at once, the thread that answers the first would
/// go on with the rest, and everybody else would wait. So the next one is passed on once the answer before it has been written, and
/// not in the same turn; meanwhile nothing more is decoded (``ConnectionIntake/isHeld``).
///
/// A client may also be gone before its request is looked at. Where nothing more will come of one that could take the engine, the client
/// is therefore sent a 100 (Continue), which everybody must be able to read before an answer and which has no meaning; where the socket
/// was closed, rather than only its sending half, the system at its other end refuses that, and the request is never passed on.
///
/// It stands next to the HTTP decoder and encoder, so it knows what is lost behind them: the version, and whether HEAD was asked.
/// Used on its event loop only.
final class RequestPipelining: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  private enum Event {
    case part(HTTPServerRequestPart)
    case error(any Error)
    case endOfInput
  }
  private let intake: ConnectionIntake
  /// What came behind the request that is being answered, in order.
  private var waiting = CircularBuffer<Event>(initialCapacity: 1)
  /// The request that was passed on last still comes, is still to be answered.
  private var isComing = false
  private var isAnswered = true
  private var discards = false
  private var peerHasFinished = false
  private var isProbed = false
  private var isHead = false
  /// Of the last request: whether it is of HTTP/1.0, and whether its connection may serve another.
  private(set) var isOld = false
  private(set) var mayPersist = true

  /// What a refusal takes to come back from the same machine or the next. From further away it ends a request that has begun.
  private static let probeTime: TimeAmount = .milliseconds(1)

  init(intake: ConnectionIntake) { self.intake = intake }

  /// From now on nothing is passed on.
  func discard() {
    discards = true
    waiting.removeAll()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    intake.decodedParts += 1
    take(.part(unwrapInboundIn(data)), context)
  }
  func errorCaught(context: ChannelHandlerContext, error: any Error) { take(.error(error), context) }
  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is ConnectionIntake.PeerHasFinished { peerHasFinished = true }
    guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
    take(.endOfInput, context)
  }
  func channelInactive(context: ChannelHandlerContext) {
    discard()
    context.fireChannelInactive()
  }

  private func take(_ event: Event, _ context: ChannelHandlerContext) {
    if waiting.isEmpty, isDue(event), !mayTakeEngine(event) { return pass(event, context) }
    waiting.append(event)
    intake.isHeld = true
    // In a later turn, in which it is known whether more will come.
    if waiting.count == 1 { goOnLater(context) }
  }
  private func mayTakeEngine(_ event: Event) -> Bool {
    if case .part(.head(let head)) = event { head.method == .POST && !RequestRules.isOld(head) } else { false }
  }

  private func isDue(_ event: Event) -> Bool {
    switch event {
    case .part(.head): discards || (isAnswered && !isComing)
    // Of a body, so somebody who is reading it wants to know; else it is said behind the answer.
    case .error: discards || isAnswered || isComing
    case .part, .endOfInput: true
    }
  }

  private func pass(_ event: Event, _ context: ChannelHandlerContext) {
    if case .endOfInput = event { return context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
    if discards { return }
    switch event {
    case .part(.head(let head)):
      (isComing, isAnswered) = (true, false)
      (isHead, isOld, mayPersist) = (head.method == .HEAD, RequestRules.isOld(head), RequestRules.mayPersist(head))
      if let reason = RequestRules.refusal(of: head) {
        discard()
        return context.fireErrorCaught(RefusedRequest(reason: reason))
      }
      context.fireChannelRead(wrapInboundOut(.head(head)))
    case .part(.end(let trailers)):
      isComing = false
      context.fireChannelRead(wrapInboundOut(.end(trailers)))
      goOnLater(context)
    case .part(let part): context.fireChannelRead(wrapInboundOut(part))
    case .error(let error): context.fireErrorCaught(error)
    case .endOfInput: break
    }
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .head(var head):
      // A client of the older version knows no chunks; an answer of that version has none.
      if isOld { head.version = .http1_0 }
      context.write(wrapOutboundOut(.head(head)), promise: promise)
    case .body where isHead: promise?.succeed()
    case .body(let body): context.write(wrapOutboundOut(.body(body)), promise: promise)
    case .end(let trailers):
      context.write(wrapOutboundOut(.end(isHead ? nil : trailers)), promise: promise)
      (isAnswered, isHead) = (true, false)
      goOnLater(context)
    }
  }

  private func goOnLater(_ context: ChannelHandlerContext) {
    guard isAnswered, !isComing, intake.isHeld else { return }
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    context.eventLoop.execute {
      let (own, context) = bound.value
      own.goOn(context)
    }
  }
  /// Whether the next request waits for what comes of a probe.
  private func probes(_ context: ChannelHandlerContext) -> Bool {
    guard peerHasFinished, !isProbed, let next = waiting.first, isDue(next), mayTakeEngine(next) else { return false }
    isProbed = true
    context.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    context.eventLoop.scheduleTask(in: Self.probeTime) {
      let (own, context) = bound.value
      own.goOn(context)
    }
    return true
  }
  private func goOn(_ context: ChannelHandlerContext) {
    if discards || probes(context) { return }
    let count = waiting.count
    while let event = waiting.first, isDue(event) {
      waiting.removeFirst()
      pass(event, context)
    }
    if waiting.count < count { context.fireChannelReadComplete() }
    if waiting.isEmpty { intake.release() }
  }
}
