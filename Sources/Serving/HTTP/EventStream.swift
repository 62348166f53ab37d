import HTTPTypes
import Hummingbird
import JSON
import NIOCore

/// Writes server-sent events.
struct EventStream {
  var writer: any ResponseBodyWriter

  mutating func send(_ value: JSONValue) async throws(APIError) {
    try await send(text: value.serialized())
  }
  /// - Parameter text: JSON, in one line.
  mutating func send(text: String) async throws(APIError) { try await write("data: \(text)\n\n") }

  /// Bytes that no client reads: proxies close connections on which nothing comes for a while.
  mutating func keepAlive() async throws(APIError) { try await write(": keep-alive\n\n") }

  /// OpenAI's mark that nothing follows.
  mutating func finish() async throws {
    try await write("data: [DONE]\n\n")
    try await writer.finish(nil)
  }

  /// Whatever keeps bytes from being written, it means that nobody reads them.
  private mutating func write(_ text: String) async throws(APIError) {
    do { try await writer.write(ByteBuffer(string: text)) } catch { throw .clientGone }
  }

  static var headers: HTTPFields {
    // Proxies that buffer would hold the tokens back.
    [.contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-cache", .accelBuffering: "no"]
  }
}

extension HTTPField.Name {
  static var accelBuffering: Self { Self("x-accel-buffering")! }
  static var requestID: Self { Self("x-request-id")! }
}
