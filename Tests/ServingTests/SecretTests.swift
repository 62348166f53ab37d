import Logging
import Serving
import Synchronization
import TestSupport
import Testing

/// Whatever prints a value shows no key.
@Suite struct SecretTests {
  static let text = "sk-Zq81-not-to-be-seen"
  private let secret = Secret(Self.text)

  private struct Holder {
    var key: Secret?
    var keys: [String: Secret]
  }

  /// Every way in which the language prints a value.
  private func prints(_ value: Any) -> [String] {
    var dumped = ""
    dump(value, to: &dumped, maxDepth: 12)
    var printed = ""
    print(value, to: &printed)
    debugPrint(value, to: &printed)
    return ["\(value)", String(describing: value), String(reflecting: value), dumped, printed]
  }

  @Test func `a secret is printed in no way, whatever holds it`() throws {
    let held = Holder(key: secret, keys: ["admin": secret])
    for value: Any in [secret, Optional(secret) as Any, [secret], held, ("a", secret), Result<Secret, any Error>.success(secret)] {
      for text in prints(value) { #expect(!text.contains(Self.text) && !text.contains("Zq81"), "\(text)") }
    }
    #expect(Mirror(reflecting: secret).children.isEmpty)
    #expect(!(secret as Any is any Encodable))
  }

  @Test func `a server with keys, its options and its administration print none of them`() throws {
    let directory = TemporaryDirectory()
    let root = try #require(WeightsRoot(directory.path.string))
    let options = testOptions {
      $0.apiKey = secret
      $0.administration = Administration(key: secret, weightsRoot: root, weights: ScriptedWeights())
    }
    let server = Server(engine: ScriptedEngine(), options: options, logger: quietLogger())
    for value: Any in [server, options, options.administration as Any, try server.application()] {
      for text in prints(value) { #expect(!text.contains(Self.text), "\(text.prefix(200))") }
    }
    #expect("\(server)" == "Server(localhost:0)")
  }

  @Test func `only the same text matches, and nothing matches an empty secret`() {
    #expect(secret.matches(Self.text[...]))
    for other in ["", "sk", Self.text + " ", Self.text.uppercased(), String(Self.text.dropLast())] { #expect(!secret.matches(other[...])) }
    #expect(Secret("").isEmpty && !secret.isEmpty)
    #expect(!Secret("").matches(""))
    // No spelling but the very bytes: these two are equal as strings.
    #expect("caf\u{E9}" == "cafe\u{301}" && !Secret("caf\u{E9}").matches("cafe\u{301}"))
  }
}
