import JSON

/// What all parts of one reply have in common.
struct ReplyHead: Sendable {
  let id: String
  let object: String
  let created: Int
  let model: String
  /// The weights that chose the tokens.
  var fingerprint: String

  /// - Parameter prefix: `cmpl` or `chatcmpl`.
  init(prefix: String, object: String, model: String, fingerprint: String) {
    id = "\(prefix)-\(RandomID.hexadecimal())"
    self.object = object
    created = WallClock.seconds
    self.model = model
    self.fingerprint = fingerprint
  }

  func json(choices: [JSONValue], usage: JSONValue?) -> JSONValue {
    var members: JSONObject = [
      "id": .string(id), "object": .string(object), "created": .int(created), "model": .string(model),
      "system_fingerprint": .string(fingerprint), "choices": .array(choices),
    ]
    if let usage { members["usage"] = usage }
    return .object(members)
  }
}
