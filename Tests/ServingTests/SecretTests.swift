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

  @Test func `a text is shown without the secret, wherever it stands in it`() {
    for (text, shown) in [
      (Self.text, "(secret)"), ("a\(Self.text)b", "a(secret)b"), ("\(Self.text)\(Self.text)", "(secret)(secret)"), ("/v1/\(Self.text)?x=\(Self.text)", "/v1/(secret)?x=(secret)"),
    ] { #expect(secret.masking(text) == shown) }
    for text in ["", "sk", String(Self.text.dropLast()), String(Self.text.dropFirst()) + "s", Self.text.uppercased()] { #expect(secret.masking(text) == nil) }
    #expect(Secret("").masking("abc") == nil && Secret("a").masking("banana") == "b(secret)n(secret)n(secret)")
    #expect(Secret("aba").masking("xababay") == "x(secret)y")
  }

  @Test func `a log line shows no secret, in message, metadata or error`() {
    struct Failure: Error, CustomStringConvertible { let description: String }
    let lines = Lines()
    var logger = Logger(label: "test") { _ in MaskingLogHandler(Collecting(lines: lines), hiding: [secret]) }
    logger[metadataKey: "id"] = .string("id-\(Self.text)")
    logger.info("hello \(Self.text)", metadata: ["path": "/\(Self.text)", Self.text: ["a", ["b": "\(Self.text)"]], "n": "\(5)"])
    logger.error("failed", error: Failure(description: "no \(Self.text)"))
    let text = lines.text.withLock { $0 }
    #expect(!text.contains(Self.text) && text.contains("hello (secret)") && text.contains("/(secret)") && text.contains("id-(secret)") && text.contains("no (secret)"), "\(text)")
  }

  @Test func `a log line shows no secret that is encoded, and none by its part that is left when it is cut`() {
    let long = "sk-" + String(repeating: "Zq81", count: 500)
    let lines = Lines()
    let logger = Logger(label: "test") { _ in MaskingLogHandler(Collecting(lines: lines), hiding: [secret, Secret(long)]) }
    func encoded(_ text: String) -> String { text.utf8.map { "%" + String($0, radix: 16) }.joined() }
    for text in [Self.text, long] {
      let some = text.replacing("-", with: "%2D")
      for form in [text, some, encoded(text), encoded(encoded(text)), "100%\(text)", "%zz%4\(some)\(text)"] {
        logger.info("hello \(form)", metadata: ["path": "/a%20b/\(form)", "fields": ["x", .string(form + String(repeating: "y", count: 2000))]])
      }
    }
    let text = lines.text.withLock { $0 }
    for part in ["Zq81", "%5a", "%5A", "%2D", "%35%61"] { #expect(!text.contains(part), "\(part): \(text.prefix(3000))") }
    #expect(text.contains("/a b/(secret)") && text.contains("100%(secret)") && text.contains("bytes)"), "\(text.prefix(3000))")
    // What holds none stays as it was written, and only what is long is cut.
    lines.text.withLock { $0 = "" }
    logger.info("50%", metadata: ["path": "/v1/a%20b%2Fc"])
    #expect(lines.text.withLock { $0.contains("50%") && $0.contains("/v1/a%20b%2Fc") && !$0.contains("bytes)") })
  }

  @Test func `a path is cut to 200 bytes, and shows no part of a secret there`() {
    let lines = Lines()
    let logger = Logger(label: "test") { _ in MaskingLogHandler(Collecting(lines: lines), hiding: [secret]) }
    logger.info("request", metadata: ["path": .string("/" + String(repeating: "a", count: 190) + Self.text + String(repeating: "b", count: 78_000))])
    let text = lines.text.withLock { $0 }
    #expect(text.utf8.count < 400 && text.contains("a(secret)b…") && !text.contains("sk-"), "\(text)")
    lines.text.withLock { $0 = "" }
    logger.info("request", metadata: ["path": .string(String(repeating: "c", count: 200))])
    #expect(lines.text.withLock { $0.contains(String(repeating: "c", count: 200)) && !$0.contains("…") })
  }

  @Test("no text begins a line of the log", arguments: [true, false])
  func oneLine(hasSecrets: Bool) {
    struct Failure: Error, CustomStringConvertible { let description: String }
    let lines = Lines()
    var logger = Logger(label: "test") { _ in MaskingLogHandler(Collecting(lines: lines), hiding: hasSecrets ? [secret] : []) }
    let text = "a\n2026-01-01 critical\r\u{85}\u{2028}\u{2029}\u{202E}\u{1B}[2K\t\u{0}z\u{E9}"
    logger[metadataKey: "id"] = .string(text)
    logger.error("\(text)", error: Failure(description: text), metadata: ["m": .string(text), text: ["x", .string(text)]])
    let line = lines.text.withLock { $0 }
    #expect(line.unicodeScalars.filter { $0 == "\n" }.count == 1 && line.hasSuffix("\n"), "\(line)")
    for scalar in "\r\u{85}\u{2028}\u{2029}\u{202E}\u{1B}\t\u{0}".unicodeScalars { #expect(!line.unicodeScalars.contains(scalar), "\(scalar.value)") }
    #expect(line.contains("a\\n2026-01-01 critical\\r\\u{85}") && line.contains("\\u{1B}[2K\\t\\u{0}z\u{E9}"), "\(line)")
  }

  private final class Lines: Sendable { let text = Mutex("") }
  private struct Collecting: LogHandler {
    let lines: Lines
    var logLevel = Logger.Level.trace
    var metadata: Logger.Metadata = [:]
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }
    init(lines: Lines) { self.lines = lines }
    func log(event: LogEvent) {
      lines.text.withLock { $0 += "\(event.message) \(metadata) \(event.metadata ?? [:]) \(event.error.map { "\($0)" } ?? "")\n" }
    }
  }
}
