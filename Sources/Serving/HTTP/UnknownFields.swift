import HTTPTypes
import Hummingbird
import Logging

extension ServingContext {
  /// Says of fields that nobody knows: in the log, and to the client in a header of the reply.
  func noteUnknown(_ fields: [String]) {
    guard !fields.isEmpty else { return }
    record.note { $0.unknownFields = fields }
    // Whole: what is cut here is not found by whoever looks for keys. The log cuts it itself.
    var metadata: Logger.Metadata = ["fields": .array(fields.prefix(10).map { .string($0) })]
    if fields.count > 10 { metadata["more"] = "\(fields.count - 10)" }
    logger.info("unknown request fields are ignored", metadata: metadata)
  }
}

extension HTTPFields {
  /// Names the fields that were ignored, at most ten: `x-ignored-fields: frobnicate, foo`. A client's text goes into a header, so what is
  /// no plain name becomes `?`.
  mutating func nameIgnored(_ fields: [String]) {
    guard !fields.isEmpty else { return }
    let names = fields.prefix(10).map { name in
      let bytes = name.utf8.prefix(64)
      let isPlain = bytes.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ",") }
      return isPlain && !bytes.isEmpty ? String(decoding: bytes, as: UTF8.self) : "?"
    }
    self[.ignoredFields] = names.joined(separator: ", ") + (fields.count > 10 ? ", ..." : "")
  }
}

extension HTTPField.Name {
  static var ignoredFields: Self { Self("x-ignored-fields")! }
}
