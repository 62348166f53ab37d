package import NIOCore

/// Passes what one client sends on to the HTTP decoder, no faster than ``InputRate`` allows.
///
/// It stands before the decoder, so everything counts: headers, framing of chunks, bodies that nobody wants. What the decoder makes of
/// the bytes has a cost too, each part as much as ``partCost`` bytes, which whoever stands behind it counts for it. Bytes are passed
/// on in small pieces, so that a thread is never long with one connection, whatever they hold, and not at all while it is held.
///
/// Used on its event loop only.
package final class ConnectionIntake: ChannelDuplexHandler, RemovableChannelHandler {
  package typealias InboundIn = ByteBuffer
  package typealias InboundOut = ByteBuffer
  package typealias OutboundIn = ByteBuffer
  package typealias OutboundOut = ByteBuffer

  /// In bytes: what is decoded between two looks at its cost; little after what gave more than so many parts, of which each takes
  /// much more memory than its bytes.
  private static let pieces = (smallest: 512, largest: 4 << 10, manyParts: 8)
  /// In bytes of cost: when others are to have their turn.
  private static let turn = 64 << 10
  /// In bytes: of a decoded part, beyond the first of a piece.
  static let partCost = 256

  /// Said to whoever stands behind as soon as the client's sending half is closed, whatever is still to be passed on.
  struct PeerHasFinished {}

  private let rate: InputRate
  private var usage = InputRate.Usage()
  private var context: ChannelHandlerContext?
  /// Read, and not yet passed on.
  private var waiting = CircularBuffer<ByteBuffer>(initialCapacity: 1)
  private var nextPiece = ConnectionIntake.pieces.largest
  private var inputHasEnded = false
  private var wantsRead = false
  private var discards = false
  private var isClosed = false
  private var pause: Scheduled<Void>?
  private var pausedFrom = NIODeadline.distantPast
  private var pausedUntil = NIODeadline.distantPast
  private var waitedBefore = TimeAmount.zero
  private var lastReceived = NIODeadline.distantPast

  /// Parts that the decoder has made; counted by who gets them.
  var decodedParts = 0
  private(set) var passedBytes = 0
  /// Set by who has as much as there is use for now: nothing is passed on or read until ``release()``.
  var isHeld = false

  init(rate: InputRate) { self.rate = rate }

  package func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  package func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  /// How long the client has been made to wait, all in all: time that it could not have used for sending.
  func waited(at now: NIODeadline) -> TimeAmount { pause == nil ? waitedBefore : waitedBefore + (now - pausedFrom) }

  /// When the client sent something last, or was told to wait until.
  var lastHeard: NIODeadline { pause == nil ? lastReceived : max(lastReceived, pausedUntil) }

  /// From now on nothing is passed on; it is still read, no faster than before.
  func discard() {
    discards = true
    isHeld = false
    waiting.removeAll()
    if let context { endIfDone(context) }
  }

  package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let bytes = unwrapInboundIn(data)
    lastReceived = context.eventLoop.now
    if discards { return charge(bytes.readableBytes, context) }
    waiting.append(bytes)
    passOn(context)
  }

  private func passOn(_ context: ChannelHandlerContext) {
    while pause == nil, !isHeld, !waiting.isEmpty {
      var cost = 0
      while cost < Self.turn, !isHeld, var first = waiting.popFirst() {
        let length = min(nextPiece, first.readableBytes)
        guard let piece = first.readSlice(length: length) else { break }
        if first.readableBytes > 0 { waiting.prepend(first) }
        let before = decodedParts
        passedBytes += length
        context.fireChannelRead(wrapInboundOut(piece))
        let parts = decodedParts - before
        nextPiece = parts > Self.pieces.manyParts ? Self.pieces.smallest : min(Self.pieces.largest, nextPiece * 2)
        cost += length + max(0, parts - 1) * Self.partCost
      }
      charge(cost, context)
    }
    endIfDone(context)
  }

  private func charge(_ cost: Int, _ context: ChannelHandlerContext) {
    let now = context.eventLoop.now
    let start = rate.take(cost, by: &usage, at: now)
    guard start > now, !isClosed else { return }
    if let pause { pause.cancel() } else { pausedFrom = now }
    pausedUntil = start
    let own = NIOLoopBound(self, eventLoop: context.eventLoop)
    pause = context.eventLoop.scheduleTask(deadline: start) { own.value.goOn() }
  }

  private func goOn() {
    guard let context, pause != nil else { return }
    waitedBefore = waited(at: context.eventLoop.now)
    pause = nil
    resume(context)
  }
  func release() {
    isHeld = false
    if let context { resume(context) }
  }
  private func resume(_ context: ChannelHandlerContext) {
    if !waiting.isEmpty, pause == nil, !isHeld {
      passOn(context)
      context.fireChannelReadComplete()
    }
    if wantsRead { read(context: context) }
  }

  /// Whoever wants to read waits until this connection may.
  package func read(context: ChannelHandlerContext) {
    wantsRead = pause != nil || isHeld
    if !wantsRead { context.read() }
  }

  /// The end of what a client sends comes after all of it.
  package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
    inputHasEnded = true
    context.fireUserInboundEventTriggered(PeerHasFinished())
    endIfDone(context)
  }
  private func endIfDone(_ context: ChannelHandlerContext) {
    guard inputHasEnded, waiting.isEmpty else { return }
    inputHasEnded = false
    context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
  }

  package func channelInactive(context: ChannelHandlerContext) {
    isClosed = true
    pause?.cancel()
    pause = nil
    waiting.removeAll()
    context.fireChannelInactive()
  }
}
