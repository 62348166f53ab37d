import HTTPTypes
import Hummingbird
import JSON
import NIOCore
import NIOHTTP1

/// A request's body, all of it, not yet looked at.
struct RequestBytes: Sendable {
  let bytes: [UInt8]
  /// What its memory is counted by while it is there.
  let share: BodyMemory.Share

  /// How deep arrays and objects may stand inside each other.
  private static let maximumDepth = 64
  /// Each value takes up to 200 bytes of memory, whatever it takes in the text.
  static let maximumValues = 1 << 20
  /// Names are hashed in their normal form, which for adverse ones takes a time that grows with the square of their length.
  /// (Text may hold any number of combining marks: what is done with it has a budget.)
  static let maximumKeyBytes = 512

  /// - Complexity: Up to seconds for megabytes; not for threads that others wait for.
  func object() throws(APIError) -> JSONObject {
    if bytes.isEmpty { throw .invalid(nil, "The request has no body; it must be a JSON object.") }
    let value: JSONValue
    do {
      value = try JSONValue(
        parsing: bytes, maximumDepth: Self.maximumDepth, maximumValues: Self.maximumValues, maximumKeyBytes: Self.maximumKeyBytes,
        maximumMarks: .max)
    } catch { throw .invalid(nil, "The request body is no JSON: \(error).", code: "invalid_json") }
    guard let object = value.object else {
      throw .invalid(nil, "The request body is \(value.kind); it must be a JSON object.")
    }
    return object
  }
}

extension Request {
  /// The body, read to its end, however slowly it comes.
  func allBytes(limit: Int, memory: BodyMemory) async throws(APIError) -> RequestBytes {
    if let type = headers[.contentType], !Self.isJSON(type) { throw .unsupportedMediaType(type) }
    if let encoding = headers[.contentEncoding], encoding.lowercased() != "identity" {
      throw .unsupportedMediaType("\(headers[.contentType] ?? "application/json"), compressed as \(encoding)")
    }
    // Said before reading: a client that announces too much need not send it.
    // (The decoder sees to it that it is a number, though perhaps one that does not fit.)
    if let length = headers[.contentLength], (Int(length) ?? .max) > limit { throw .bodyTooLarge(limit: limit) }
    let share = memory.share()
    var bytes: [UInt8] = []
    do {
      for try await part in body {
        guard bytes.count + part.readableBytes <= limit else { throw APIError.bodyTooLarge(limit: limit) }
        guard share.grow(to: bytes.count + part.readableBytes) else { throw APIError.noRoomForBody }
        bytes.append(contentsOf: part.readableBytesView)
      }
    } catch let error as APIError {
      throw error
    } catch let error as HTTPParserError where error != .invalidEOFState {
      throw .brokenBody("\(error)")
    } catch {
      throw .clientGone
    }
    // A page of another site can send a body without a type, unasked, and one of this type only where it is let.
    if headers[.contentType] == nil, !bytes.isEmpty { throw .unsupportedMediaType(nil) }
    return RequestBytes(bytes: bytes, share: share)
  }

  private static func isJSON(_ type: String) -> Bool {
    let name = type.split(separator: ";", omittingEmptySubsequences: false)[0].lowercased()
      .trimming { $0 == " " || $0 == "\t" }
    return name == "application/json" || (name.hasPrefix("application/") && name.hasSuffix("+json"))
  }
}

extension String {
  fileprivate func trimming(_ isSpace: (Character) -> Bool) -> Substring {
    let head = drop(while: isSpace)
    return head.lastIndex { !isSpace($0) }.map { head[...$0] } ?? ""
  }
}
