public import Logging

/// Keeps keys and ends of lines out of log lines, wherever they come from: clients write them into paths, request ids and names of fields.
///
/// Keys are found as they stand and percent-encoded. They are looked for first, in whole texts; what is long is cut afterwards, so whoever
/// logs a client's text must not cut it.
public struct MaskingLogHandler: LogHandler {
  private var inner: any LogHandler
  private let secrets: [Secret]
  /// Of a value, in bytes.
  private static let longest = 1024
  /// Of a request's path, in bytes.
  private static let longestPath = 200

  /// - Parameter secrets: Wherever one is found in a message or its metadata, something else is shown.
  public init(_ inner: any LogHandler, hiding secrets: [Secret]) {
    self.inner = inner
    self.secrets = secrets
  }

  public var logLevel: Logger.Level {
    get { inner.logLevel }
    set { inner.logLevel = newValue }
  }
  public var metadata: Logger.Metadata {
    get { inner.metadata }
    set { inner.metadata = masked(newValue) }
  }
  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { inner[metadataKey: key] }
    set { inner[metadataKey: key] = newValue.map { masked($0, of: key) } }
  }

  public func log(event: LogEvent) {
    var event = event
    event.message = "\(shown("\(event.message)"))"
    event.metadata = event.metadata.map(masked)
    if let error = event.error {
      event.error = nil
      event.metadata = (event.metadata ?? [:]).merging(["error": .string(short("\(error)"))]) { old, _ in old }
    }
    inner.log(event: event)
  }

  private func shown(_ text: String) -> String { LogText.oneLine(secrets.isEmpty ? text : masked(text)) }
  private func short(_ text: String) -> String { LogText.cut(shown(text), to: Self.longest) }

  /// Where a key is found in what the text decodes to, that is shown in its place.
  private func masked(_ text: String) -> String {
    var (result, plain) = (text, text)
    for depth in 0...LogText.deepest {
      if depth > 0 {
        guard let decoded = LogText.percentDecoded(plain) else { break }
        plain = decoded
      }
      let masked = secrets.reduce(plain) { $1.masking($0) ?? $0 }
      if masked != plain { (result, plain) = (masked, masked) }
    }
    return result
  }
  private func masked(_ metadata: Logger.Metadata) -> Logger.Metadata {
    Dictionary(metadata.map { (short($0.key), masked($0.value, of: $0.key)) }, uniquingKeysWith: { first, _ in first })
  }
  private func masked(_ value: Logger.MetadataValue, of key: String) -> Logger.MetadataValue {
    if key == "path", case .string(let path) = value { return .string(LogText.beginning(shown(path), Self.longestPath)) }
    return masked(value)
  }
  private func masked(_ value: Logger.MetadataValue) -> Logger.MetadataValue {
    switch value {
    case .string(let text): .string(short(text))
    case .stringConvertible(let value): .string(short("\(value)"))
    case .array(let values): .array(values.map(masked))
    case .dictionary(let members): .dictionary(masked(members))
    }
  }
}
