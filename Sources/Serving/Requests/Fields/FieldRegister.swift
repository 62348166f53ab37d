import Inference
package import JSON

/// What becomes of the fields that OpenAI, vLLM, SGLang, llama.cpp, TGI and TensorRT-LLM know and that no endpoint here reads by that name.
///
/// Ignoring a field in silence is right only where it changes no answer. Every other is refused by name with what to use instead,
/// or is another spelling of one that is served.
package enum FieldRegister {
  package enum Ruling: Sendable {
    /// Accepted without effect: it changes no answer.
    case harmless
    /// Refused, unless it has a value that means what leaving it out means.
    case refused(unless: [JSONValue], because: String)
    /// Another name of a field that is served, with the same meaning.
    case spelling(of: String)
  }

  private static let ofPenalty: Set<String> = ["repeat_last_n", "repetition_penalty_range", "penalize_nl"]

  /// By field.
  package static let rulings: [String: Ruling] = {
    var all: [String: Ruling] = [:]
    for table in [spellings, constraints, sampling, replies, models, harmless] { all.merge(table) { first, _ in first } }
    return all
  }()

  /// The body with other spellings under the names that are served.
  ///
  /// - Throws: ``APIError`` where two spellings of one field have different values.
  static func withServedNames(_ body: JSONObject) throws(APIError) -> JSONObject {
    guard body.keys.contains(where: { if case .spelling = rulings[$0] { true } else { false } }) else { return body }
    var served: JSONObject = [:]
    var spelled: [String: String] = [:]
    for (name, value) in body {
      guard case .spelling(let own)? = rulings[name] else { continue }
      if value.isNull { continue }
      if let other = body[own], !other.isNull, !other.isSame(as: value) {
        throw .invalid(name, "\(name) and \(own) are two names of one field, and differ: \(FieldReader.show(value)) and \(FieldReader.show(other)). Send one.")
      }
      if let other = spelled[own], served[own]?.isSame(as: value) != true {
        throw .invalid(name, "\(name) and \(other) are two names of one field (\(own)), and differ. Send one.")
      }
      spelled[own] = name
      served[own] = value
    }
    for (name, value) in body {
      if case .spelling? = rulings[name] { continue }
      if served[name] == nil { served[name] = value }
    }
    return served
  }

  /// Looks at what an endpoint did not ask for.
  ///
  /// - Parameter parameters: As the request and the server's defaults have settled them.
  /// - Returns: Fields that nobody knows.
  /// - Throws: ``APIError`` for one that would change the answer.
  static func check(_ reader: FieldReader, _ parameters: SamplingParameters) throws(APIError) -> [String] {
    var unknown: [String] = []
    for name in reader.unknown {
      switch rulings[name] {
      case .harmless: break
      case .refused(let neutral, let reason):
        guard let value = reader.value(name), !neutral.contains(where: { $0.isSame(as: value) }) else { continue }
        // What a penalty looks at means nothing where there is none.
        if ofPenalty.contains(name), parameters.repetitionPenalty == 1, parameters.presencePenalty == 0, parameters.frequencyPenalty == 0 { continue }
        throw .unsupported(name, "\(name) is \(FieldReader.show(value)), but \(reason).")
      case .spelling, nil: unknown.append(name)
      }
    }
    return unknown
  }
}

extension JSONValue {
  /// Whether two values are one to a server: `0` and `0.0` are, and a text and a list of it alone.
  fileprivate func isSame(as other: JSONValue) -> Bool {
    if self == other { return true }
    if case .string = self, other == .array([self]) { return true }
    if case .string = other, self == .array([other]) { return true }
    guard case .number = self, case .number = other, let one = double, let two = other.double else { return false }
    return one == two
  }
}
