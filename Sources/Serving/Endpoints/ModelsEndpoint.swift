import Hummingbird
import JSON

/// `GET /v1/models`: a list of the one model served, under each of its names; `GET /v1/models/{name}`: that model alone.
struct ModelsEndpoint: Sendable {
  let core: ServingCore
  let created = WallClock.seconds
  private static let path = "/v1/models"

  var routes: [Route] {
    [
      Route(.get, Self.path) { _, _ in Response(json: ["object": "list", "data": .array(core.options.modelNames.map(model))]) },
      // A name may hold slashes, as those of model hubs do.
      Route(.get, Self.path + "/**") { request, _ in
        let name = Self.decoded(request.uri.path.dropFirst(Self.path.count + 1))
        guard core.options.modelNames.contains(name) else { throw APIError.unknownModel(name, served: core.options.modelName) }
        return Response(json: model(name))
      },
    ]
  }

  private func model(_ name: String) -> JSONValue {
    [
      "id": .string(name), "object": "model", "created": .int(created),
      "owned_by": "tensorrt_llm", "max_model_len": .int(core.engine.limits.maximumSequenceLength),
    ]
  }

  /// The text that a path's bytes stand for: `%2F` is a slash. What is no such code stays as it is.
  private static func decoded(_ text: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      let digits = rest.prefix(2)
      if byte == UInt8(ascii: "%"), digits.count == 2, digits.first != UInt8(ascii: "+"),
        let code = UInt8(Substring(digits), radix: 16)
      {
        bytes.append(code)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
