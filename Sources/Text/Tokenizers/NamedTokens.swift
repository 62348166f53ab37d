import JSON

/// The tokens that tokenizer_config.json and special_tokens_map.json name, with a role or without, as `from_pretrained` of
/// transformers 5.24 hands them to a tokenizer's constructor.
struct NamedTokens {
  /// By its text alone, or with the rules by which it is looked for. One token may be named in both ways.
  enum Value: Hashable {
    case text(String)
    case token(AddedToken)

    var content: String {
      switch self {
      case .text(let content): content
      case .token(let token): token.content
      }
    }
    /// What is added where tokenizer.json lacks it.
    var token: AddedToken {
      switch self {
      case .text(let content): AddedToken(content: content, id: -1, isSpecial: true)
      case .token(let token): token
      }
    }
  }
  /// Those with a role, in the order in which new ones get their ids.
  private(set) var roles: [(name: String, value: Value)] = []
  /// Those without one.
  private(set) var extra: [Value] = []
  /// Bytes of the tokens that are special where only added_tokens.json has them.
  private(set) var special: Set<[UInt8]> = []
  /// Roles that the files give, and not the class.
  private var given: Set<String> = []

  /// Whether tokenizer_config.json lists the added tokens, and so is all that counts.
  let isComplete: Bool

  private static let standard = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]
  private static let extraKey = "extra_special_tokens"
  private static let olderKey = "additional_special_tokens"
  private static let specificKey = "model_specific_special_tokens"
  /// Marks an object that is a token.
  private static let typeKey = "__type"

  /// - Parameters:
  ///   - configuration: tokenizer_config.json.
  ///   - map: special_tokens_map.json, which counts only where the former lists no added tokens.
  ///   - defaults: Roles where neither says anything; one that is null is none.
  init(configuration: JSONValue?, map: JSONValue?, defaults: [String: String] = [:]) {
    isComplete = configuration?["added_tokens_decoder"]?.object != nil
    var settings = configuration?.object ?? [:]
    if settings[Self.extraKey]?.isTruthy != true, let older = settings.removeValue(forKey: Self.olderKey) { settings[Self.extraKey] = older }
    // Roles of this model alone.
    var specific: JSONObject = [:]
    for (name, value) in settings where Self.isRole(name) && value.string != nil {
      specific[name] = value
      settings.removeValue(forKey: name)
    }
    Self.moveNamed(&settings, to: &specific)
    if !specific.isEmpty { settings[Self.specificKey] = .object(specific) }
    if !isComplete, let map = map?.object { merge(map, into: &settings) }

    for name in Self.standard {
      if let text = settings[name]?.string, !text.isEmpty { special.insert(Array(text.utf8)) }
    }
    for text in (settings[Self.extraKey]?.array ?? []).compactMap(\.string) { special.insert(Array(text.utf8)) }

    for name in Self.standard {
      if let value = settings[name] {
        if let token = Self.value(value) { set(name, token) }
        given.insert(name)
      } else if let text = defaults[name] {
        set(name, .text(text))
      }
    }
    for (name, value) in settings where Self.isRole(name) && (value.string != nil || value[Self.typeKey] != nil) { set(name, Self.value(value)) }
    for (name, value) in settings[Self.specificKey]?.object ?? [:] { set(name, Self.value(value)) }
    extra = ((settings.keys.contains(Self.extraKey) ? settings[Self.extraKey] : settings[Self.olderKey])?.array ?? []).compactMap(Self.value)
  }

  /// Roles that the files give to tokens which other files have in full, those in place.
  ///
  /// - Parameter known: By their bytes.
  mutating func resolve(_ known: [[UInt8]: AddedToken]) {
    for index in roles.indices where given.contains(roles[index].name) {
      if let token = known[Array(roles[index].value.content.utf8)] { roles[index].value = .token(token) }
    }
  }

  private mutating func merge(_ map: JSONObject, into settings: inout JSONObject) {
    for (name, value) in map {
      switch value {
      case .object(let token) where name != Self.extraKey:
        settings[name] = marked(token, countsWithAdded: Self.standard.contains(name))
      case .array(let tokens) where name == Self.extraKey:
        var all = settings[name]?.array ?? []
        var seen = Set(all)
        for token in tokens {
          let token = token.object.map { marked($0, countsWithAdded: true) } ?? token
          if seen.insert(token).inserted { all.append(token) }
        }
        settings[name] = .array(all)
      default: settings[name] = value
      }
    }
    var specific = settings[Self.specificKey]?.object ?? [:]
    Self.moveNamed(&settings, to: &specific)
    if !specific.isEmpty { settings[Self.specificKey] = .object(specific) }
  }

  /// A token of the map: special, whatever it says.
  private mutating func marked(_ token: JSONObject, countsWithAdded: Bool) -> JSONValue {
    if countsWithAdded, let content = token["content"]?.string { special.insert(Array(content.utf8)) }
    return .object(token.merging(["special": true, Self.typeKey: "AddedToken"] as JSONObject) { $1 })
  }

  /// Extra tokens that have names are roles.
  private static func moveNamed(_ settings: inout JSONObject, to specific: inout JSONObject) {
    guard case .object(let named)? = settings[extraKey] else { return }
    specific.merge(named) { $1 }
    settings.removeValue(forKey: extraKey)
  }

  private mutating func set(_ name: String, _ value: Value?) {
    guard let value else { return }
    if let index = roles.firstIndex(where: { $0.name == name }) { roles[index].value = value } else { roles.append((name, value)) }
  }

  /// Whether a key of either file gives a role of this model alone.
  private static func isRole(_ name: String) -> Bool { name.hasSuffix("_token") && !standard.contains(name) }

  /// Nil for what is no token. Flags of a wrong type count as left out.
  private static func value(_ json: JSONValue) -> Value? {
    if let text = json.string { return .text(text) }
    guard let content = json["content"]?.string else { return nil }
    // Older files write special tokens so, without saying that they are special.
    let special = json["special"]?.bool ?? (json[typeKey] == nil)
    return .token(
      AddedToken(
        content: content, id: -1, isSpecial: special, singleWord: json["single_word"]?.bool ?? false, stripsLeft: json["lstrip"]?.bool ?? false,
        stripsRight: json["rstrip"]?.bool ?? false, normalized: json["normalized"]?.bool ?? !special))
  }
}
