public import Logging

/// Keeps keys out of log lines, wherever they come from: clients write them into paths, request ids and names of fields.
public struct MaskingLogHandler: LogHandler {
  private var inner: any LogHandler
  private let secrets: [Secret]

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
    set { inner[metadataKey: key] = newValue.map(masked) }
  }

  public func log(event: LogEvent) {
    var event = event
    event.message = "\(masked("\(event.message)"))"
    event.metadata = event.metadata.map(masked)
    if let error = event.error {
      event.error = nil
      event.metadata = (event.metadata ?? [:]).merging(["error": .string(masked("\(error)"))]) { old, _ in old }
    }
    inner.log(event: event)
  }

  private func masked(_ text: String) -> String { secrets.reduce(text) { $1.masking($0) ?? $0 } }
  private func masked(_ metadata: Logger.Metadata) -> Logger.Metadata {
    Dictionary(metadata.map { (masked($0.key), masked($0.value)) }, uniquingKeysWith: { first, _ in first })
  }
  private func masked(_ value: Logger.MetadataValue) -> Logger.MetadataValue {
    switch value {
    case .string(let text): .string(masked(text))
    case .stringConvertible(let value): .string(masked("\(value)"))
    case .array(let values): .array(values.map(masked))
    case .dictionary(let members): .dictionary(masked(members))
    default: value
    }
  }
}
