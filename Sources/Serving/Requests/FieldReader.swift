import JSON

/// Reads the fields of a request body, naming field, value and what is allowed wherever one does not fit.
///
/// `null` stands for an absent field, as it does for upstream.
struct FieldReader {
  private let fields: JSONFields<APIError>
  /// In front of the names in messages: `stream_options.`
  var path: String { fields.prefix }

  init(_ members: JSONObject, path: String = "") {
    fields = JSONFields(.object(members), prefix: path) { name, fault in
      switch fault {
      case .kind(let found, let allowed): .invalid(name, "\(name) is \(Self.show(found)); it must be \(allowed).")
      case .other(let text): .invalid(name, text)
      }
    }
  }

  /// What to say where a field must be there and is not: whether another is misspelt.
  func missing(_ name: String, _ message: String) -> APIError {
    let misspelt = unknown.first { nearestName(to: $0, among: [name]) != nil }
    return fields.failed(name, message + (misspelt.map { " '\(Self.brief($0, 80))' is there: did you mean '\(name)'?" } ?? ""))
  }

  /// Fields that nothing asked for.
  var unknown: [String] { fields.unused.map(\.key) }

  /// Those that something asked for.
  var known: Set<String> { fields.askedNames }

  func value(_ name: String) -> JSONValue? { fields.value(name) }

  func wrong(_ name: String, _ value: JSONValue, allowed: String) -> APIError { fields.wrong(name, value, expected: allowed) }

  func bool(_ name: String, default: Bool = false) throws(APIError) -> Bool { try fields.bool(name) ?? `default` }

  func integer(_ name: String, in range: ClosedRange<Int>) throws(APIError) -> Int? {
    guard let value = value(name) else { return nil }
    let allowed =
      range.upperBound == .max
      ? "a whole number of \(range.lowerBound) or more" : "a whole number from \(range.lowerBound) to \(range.upperBound)"
    guard let number = value.int, range.contains(number) else { throw wrong(name, value, allowed: allowed) }
    return number
  }

  /// How many tokens an answer may have; nil, and -1 as other servers have it, for as many as there is room for.
  func tokenCount(_ name: String, from least: Int) throws(APIError) -> Int? {
    if value(name)?.int == -1 { return nil }
    return try integer(name, in: least...Int.max)
  }

  /// Any whole number of 64 bits, with a sign or without.
  func seed(_ name: String) throws(APIError) -> UInt64? {
    guard let value = value(name) else { return nil }
    if let number = value.int { return UInt64(bitPattern: Int64(number)) }
    if case .number(let number) = value, let large = UInt64(number.text) { return large }
    throw wrong(name, value, allowed: "a whole number of 64 bits, from \(Int64.min) to \(UInt64.max)")
  }

  /// - Parameter excludesLowerBound: For values above, not at, the lower bound.
  func number(
    _ name: String, in range: ClosedRange<Double>, excludesLowerBound: Bool = false
  ) throws(APIError) -> Double? {
    guard let value = value(name) else { return nil }
    let from = excludesLowerBound ? "above \(show(range.lowerBound))" : "from \(show(range.lowerBound))"
    let allowed =
      range.upperBound == .greatestFiniteMagnitude
      ? "a number \(excludesLowerBound ? from : "of \(show(range.lowerBound)) or more")"
      : "a number \(from)\(excludesLowerBound ? " and at most" : " to") \(show(range.upperBound))"
    guard let number = value.double, range.contains(number), !(excludesLowerBound && number == range.lowerBound)
    else { throw wrong(name, value, allowed: allowed) }
    return number
  }

  func string(_ name: String) throws(APIError) -> String? { try fields.string(name) }
  func object(_ name: String) throws(APIError) -> JSONObject? { try fields.object(name) }

  /// One string, or an array of at most `limit`.
  func strings(_ name: String, limit: Int) throws(APIError) -> [String] {
    guard let value = value(name) else { return [] }
    let allowed = "a string or an array of at most \(limit) strings"
    if let one = value.string { return [one] }
    guard let elements = value.array, elements.count <= limit else { throw wrong(name, value, allowed: allowed) }
    var strings: [String] = []
    for element in elements {
      guard let string = element.string else { throw wrong(name, value, allowed: allowed) }
      strings.append(string)
    }
    return strings
  }

  func tokens(_ name: String, vocabularySize: Int) throws(APIError) -> [Int32]? {
    guard let value = value(name) else { return nil }
    guard let elements = value.array else {
      throw wrong(name, value, allowed: "an array of token ids")
    }
    return try tokens(elements, name: name, vocabularySize: vocabularySize)
  }

  func tokens(_ elements: [JSONValue], name: String, vocabularySize: Int) throws(APIError) -> [Int32] {
    var ids: [Int32] = []
    ids.reserveCapacity(elements.count)
    for (index, element) in elements.enumerated() {
      guard let id = element.int, (0..<vocabularySize).contains(id) else {
        throw wrong("\(name)[\(index)]", element, allowed: "a token id from 0 to \(vocabularySize - 1)")
      }
      ids.append(Int32(id))
    }
    return ids
  }

  /// Refuses a field that is set to anything but what leaving it out would mean.
  func refuse(_ name: String, unless harmless: JSONValue..., because reason: String) throws(APIError) {
    guard let value = value(name), !harmless.contains(value) else { return }
    throw .unsupported(path + name, "\(path)\(name) is \(Self.show(value)), but \(reason).")
  }

  /// A value as it was sent, cut to a readable length.
  static func show(_ value: JSONValue) -> String {
    switch value {
    case .array(let elements) where elements.count > 40: "an array of \(elements.count) values"
    case .object(let members) where members.count > 20: "an object of \(members.count) members"
    default: brief(value.serialized(), 80)
    }
  }
  /// What a client wrote, cut to a readable length.
  static func brief(_ text: String, _ length: Int = 160) -> String {
    text.utf8.count <= length ? text : String(String.UnicodeScalarView(text.unicodeScalars.prefix(length - 3))) + "..."
  }
  private func show(_ number: Double) -> String {
    number == number.rounded() && abs(number) < 1e9 ? String(Int(number)) : number.description
  }
}
