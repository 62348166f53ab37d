import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import Serving
import Testing

/// What the server reads of one connection and when, on a clock that stands still.
@Suite struct ConnectionGuardTests {
  /// A connection with the server's handlers, and no network.
  private final class Connection {
    let loop: EmbeddedEventLoop
    let channel: EmbeddedChannel
    let socket = Socket()
    let requests = Requests()
    private(set) weak var guardian: ConnectionGuard?

    init(_ rate: InputRate, body: Duration = .seconds(60), loop: EmbeddedEventLoop = EmbeddedEventLoop()) throws {
      self.loop = loop
      loop.advanceTime(by: .seconds(100))
      channel = EmbeddedChannel(loop: loop)
      let pipeline = channel.pipeline.syncOperations
      try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false, withErrorHandling: false)
      try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: false))
      let guardian = ConnectionGuard(limits: .init(header: .seconds(10), body: body, writeStall: .seconds(60)), inputRate: rate)
      try pipeline.addHandler(guardian)
      try pipeline.addHandler(requests)
      try pipeline.addHandler(socket, position: .first)
      self.guardian = guardian
      try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    func send(_ text: String) throws {
      channel.pipeline.fireChannelRead(ByteBuffer(string: text))
      channel.pipeline.fireChannelReadComplete()
      loop.run()
    }
    /// Whether the server reads on at once.
    func reads() -> Bool {
      let before = socket.reads
      channel.pipeline.read()
      return socket.reads > before
    }
    /// How often so much can be sent before the server does not read on.
    func sent(_ text: String, atMost: Int = 100) throws -> Int {
      for count in 1...atMost {
        try send(text)
        if !reads() { return count }
      }
      return atMost + 1
    }
    func answerAndClose() throws {
      channel.pipeline.write(HTTPResponsePart.head(HTTPResponse(status: .notFound, headerFields: [.connection: "close"])), promise: nil)
      channel.pipeline.writeAndFlush(HTTPResponsePart.end(nil), promise: nil)
    }
  }
  /// In the place of the socket: an embedded channel has no half that could be closed alone.
  private final class Socket: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    var reads = 0
    var isHalfClosed = false
    func read(context: ChannelHandlerContext) {
      reads += 1
      context.read()
    }
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
      guard mode == .output else { return context.close(mode: mode, promise: promise) }
      isHalfClosed = true
      promise?.succeed()
    }
  }
  /// What gets through to the endpoints.
  private final class Requests: ChannelInboundHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundOut = HTTPResponsePart
    var (heads, bodyParts, bodyBytes, ends) = (0, 0, 0, 0)
    var bytesAtEndOfInput: Int?
    var errors: [any Error] = []
    var answersAll = false
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      switch unwrapInboundIn(data) {
      case .head: heads += 1
      case .body(let bytes):
        bodyParts += 1
        bodyBytes += bytes.readableBytes
      case .end:
        ends += 1
        guard answersAll else { return }
        context.write(wrapOutboundOut(.head(HTTPResponse(status: .ok))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
      }
    }
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
      if case ChannelEvent.inputClosed = event { bytesAtEndOfInput = bodyBytes }
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { errors.append(error) }
  }

  /// Slow enough to see it: bodies of at most 256 KiB, 1 MiB a second.
  private var rate: InputRate { InputRate(bytesPerSecond: 1 << 20, largestBody: 256 << 10) }
  private static let chunked = "POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
  private static let block = String(repeating: "a", count: 64 << 10)
  private static let (unwanted, extended, large) = (
    "POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n" + block, block, block
  )
  private static let openings = [("", unwanted), (chunked + "1;", extended), (chunked + "40000000\r\n", large)]

  @Test("whatever a client sends, it is read at the rate once it is more than a body may be", arguments: openings)
  func held(opening: String, rest: String) throws {
    let connection = try Connection(rate)
    connection.requests.answersAll = true
    if !opening.isEmpty { try connection.send(opening) }
    let count = try connection.sent(rest)
    #expect(count > 4 && count < 8, "64 KiB were read \(count) times")
    let before = connection.socket.reads
    connection.loop.advanceTime(by: .milliseconds(10))
    #expect(connection.socket.reads == before)
    connection.loop.advanceTime(by: .seconds(1))
    #expect(connection.socket.reads == before + 1)
    // At the rate, from now on: 16 times 64 KiB a second.
    var blocks = 0
    for _ in 0..<1000 {
      connection.loop.advanceTime(by: .milliseconds(10))
      while connection.reads() {
        try connection.send(rest)
        blocks += 1
      }
    }
    #expect(blocks > 130 && blocks < 175, "\(blocks) in ten seconds")
  }

  @Test func `chunks of a byte each are decoded a few at a time, handed on together, and all of them`() throws {
    let connection = try Connection(rate)
    try connection.send(Self.chunked + String(repeating: "1\r\nx\r\n", count: 10_000) + "0\r\n\r\n")
    #expect(connection.requests.heads == 1 && connection.requests.bodyBytes > 0 && connection.requests.bodyBytes < 3000, "\(connection.requests.bodyBytes)")
    #expect(!connection.reads())
    // The end of what it sends comes last, however long the rest waits.
    connection.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    #expect(connection.requests.bytesAtEndOfInput == nil)
    connection.loop.advanceTime(by: .seconds(10))
    #expect(connection.requests.bodyBytes == 10_000 && connection.requests.ends == 1 && connection.requests.bytesAtEndOfInput == 10_000)
    #expect(connection.requests.bodyParts < 40 && connection.requests.errors.isEmpty, "\(connection.requests.bodyParts)")
  }

  @Test func `of requests that come at once one is passed on at a time, each on its turn`() throws {
    let connection = try Connection(InputRate(bytesPerSecond: 1 << 30, largestBody: 8 << 20))
    func answer() {
      connection.channel.pipeline.write(HTTPResponsePart.head(HTTPResponse(status: .ok, headerFields: [.contentLength: "0"])), promise: nil)
      connection.channel.pipeline.writeAndFlush(HTTPResponsePart.end(nil), promise: nil)
    }
    try connection.send(String(repeating: "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", count: 1000) + "GET")
    for count in 1...1000 {
      #expect(connection.requests.heads == count && connection.requests.ends == count)
      // Nor is more read than was sent already.
      if count < 900 { #expect(!connection.reads()) }
      answer()
      // Not in the same turn.
      #expect(connection.requests.heads == count)
      connection.loop.run()
    }
    #expect(connection.requests.heads == 1000 && connection.reads())
    try connection.send(" /health HTTP/1.1\r\nHost: x\r\n\r\n")
    #expect(connection.requests.heads == 1001 && connection.requests.errors.isEmpty)
  }

  @Test(
    "of a client that sends nothing more it is found out whether it is there, before the engine works for it",
    arguments: [
      ("POST /x HTTP/1.1", true), ("GET /x HTTP/1.1", false), ("POST /x HTTP/1.0", false),
    ])
  func probe(line: String, isAsked: Bool) throws {
    for leaves in [true, false] {
      let connection = try Connection(rate)
      let pipeline = connection.channel.pipeline
      // Both in one turn, as where a client has left before anybody looks.
      pipeline.fireChannelRead(ByteBuffer(string: "\(line)\r\nHost: x\r\nContent-Length: 1\r\n\r\na"))
      pipeline.fireChannelReadComplete()
      pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
      connection.loop.run()
      let text = try connection.channel.readOutbound(as: ByteBuffer.self).map { String(buffer: $0) }
      #expect(text == (isAsked ? "HTTP/1.1 100 Continue\r\n\r\n" : nil), "\(String(describing: text))")
      #expect(connection.requests.heads == (isAsked ? 0 : 1))
      if leaves { connection.channel.close(promise: nil) }
      connection.loop.advanceTime(by: .milliseconds(2))
      #expect(connection.requests.heads == (isAsked && leaves ? 0 : 1))
      if !leaves { #expect(connection.requests.ends == 1 && connection.requests.bytesAtEndOfInput == 1) }
      #expect(try connection.channel.readOutbound(as: ByteBuffer.self) == nil)
    }
  }

  @Test("a body that is nearly all framing is an error, once", arguments: ["1;" + block + block, String(repeating: "0000000000001\r\nx\r\n", count: 8000)])
  func framing(body: String) throws {
    let connection = try Connection(InputRate(bytesPerSecond: 1 << 30, largestBody: 8 << 20))
    try connection.send(Self.chunked)
    try connection.send(body)
    try connection.send("aaaa")
    #expect(connection.requests.errors.map { ($0 as? APIError)?.status } == [400], "\(connection.requests.errors)")
  }

  @Test func `what nobody wants any more is read at the rate, until nothing comes or ten seconds are over`() throws {
    for isTrickle in [true, false] {
      let connection = try Connection(rate)
      try connection.send(Self.chunked + "40000000\r\n")
      try connection.answerAndClose()
      #expect(connection.socket.isHalfClosed && connection.channel.isActive)
      if isTrickle {
        for _ in 0..<19 {
          connection.loop.advanceTime(by: .milliseconds(500))
          try connection.send("x")
        }
        #expect(connection.channel.isActive)
        connection.loop.advanceTime(by: .milliseconds(500))
        #expect(!connection.channel.isActive)
      } else {
        let count = try connection.sent(Self.block)
        #expect(count > 4 && count < 8, "\(count)")
        #expect(connection.requests.bodyBytes == 0)
        connection.loop.advanceTime(by: .milliseconds(900))
        #expect(connection.channel.isActive)
        connection.loop.advanceTime(by: .milliseconds(500))
        #expect(!connection.channel.isActive)
      }
    }
  }

  @Test("a connection that has ended leaves nothing behind", arguments: ["held", "lingering", "reading", "idle"])
  func ended(state: String) throws {
    let loop = EmbeddedEventLoop()
    weak var guardian: ConnectionGuard?
    do {
      let connection = try Connection(rate, loop: loop)
      guardian = connection.guardian
      if state != "idle" { try connection.send(Self.chunked + "40000000\r\n") }
      if state == "held" { _ = try connection.sent(Self.block) }
      if state == "lingering" { try connection.answerAndClose() }
      let reads = connection.socket.reads
      #expect(guardian != nil)
      connection.channel.close(promise: nil)
      loop.run()
      #expect(connection.socket.reads == reads)
    }
    // Only the loop is left, which would hold what it is still to do.
    #expect(guardian == nil)
    _ = loop
  }

  @Test func `the time that a client is made to wait is not taken from it`() throws {
    let connection = try Connection(InputRate(bytesPerSecond: 8 << 10, largestBody: 8 << 10), body: .seconds(10))
    try connection.send(Self.chunked + "40000000\r\n")
    #expect(try connection.sent(Self.block) == 1)
    // 64 KiB at 8 KiB a second, but for the first 9: seven seconds.
    connection.loop.advanceTime(by: .seconds(15))
    #expect(connection.requests.errors.isEmpty)
    connection.loop.advanceTime(by: .seconds(3))
    #expect(connection.requests.errors.map { ($0 as? APIError)?.status } == [408])
  }
}
