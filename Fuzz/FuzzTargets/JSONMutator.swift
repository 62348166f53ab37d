import JSON

/// Changes an input of JSON documents as trees, so that what comes out still parses: bytes alone seldom get past the parser.
///
/// Documents are apart by zero bytes, which JSON does not hold.
struct JSONMutator {
  private var random: Random

  init(seed: UInt32) { random = Random(state: UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1) }

  /// Nil where the part that was chosen is no JSON.
  mutating func changed(_ input: [UInt8]) -> [UInt8]? {
    var parts = input.split(separator: 0, omittingEmptySubsequences: false).map { Array($0) }
    let index = random.next(parts.count)
    guard var value = try? JSONValue(parsing: parts[index], allowsNonFinite: true) else { return nil }
    for _ in 0...random.next(3) { value = changed(value, depth: 0) }
    parts[index] = Array(value.serialized().utf8)
    return Array(parts.joined(separator: [0]))
  }

  private mutating func changed(_ value: JSONValue, depth: Int) -> JSONValue {
    switch value {
    case .object(var members) where !members.isEmpty && random.next(8) != 0:
      let place = random.next(members.count)
      let (key, old) = members[place]
      switch random.next(12) {
      case 0: members.removeValue(forKey: key)
      case 1: members[key] = members[random.next(members.count)].value
      case 2:  // under another name
        members.removeValue(forKey: key)
        members[random.next(2) == 0 ? key + "x" : Self.words[random.next(Self.words.count)]] = old
      default: members[key] = changed(old, depth: depth + 1)
      }
      return .object(members)
    case .array(var elements) where !elements.isEmpty && random.next(8) != 0:
      let place = random.next(elements.count)
      switch random.next(12) {
      case 0: elements.remove(at: place)
      case 1: elements.insert(elements[random.next(elements.count)], at: place)
      case 2: elements.swapAt(place, random.next(elements.count))
      case 3: elements += elements.prefix(64)
      default: elements[place] = changed(elements[place], depth: depth + 1)
      }
      return .array(elements)
    default: return leaf(value, depth)
    }
  }

  private mutating func leaf(_ value: JSONValue, _ depth: Int) -> JSONValue {
    switch random.next(10) {
    case 0: return random.next(2) == 0 ? .null : .bool(random.next(2) == 0)
    case 1: return .string(Self.words[random.next(Self.words.count)])
    case 2: return .array([value])
    case 3: return depth < 40 ? .object(["type": value]) : value
    default: break
    }
    switch value {
    case .number(let number):
      if let old = number.int, random.next(2) == 0 {
        return .int([old &+ 1, old &- 1, old &* 2, old / 2, 0 &- old][random.next(5)])
      }
      return random.next(6) == 0 ? .double([0.5, -1, 1e308, 1e-300, 3.5][random.next(5)]) : .int(Self.numbers[random.next(Self.numbers.count)])
    case .string(let text):
      switch random.next(5) {
      case 0: return .string(text + text)
      case 1: return .string(String(text.dropFirst()))
      case 2: return .string(String(text.dropLast()))
      case 3: return .string(text + Self.words[random.next(Self.words.count)])
      default: return .string(String(text.shuffled(using: &random)))
      }
    case .bool(let flag): return .bool(!flag)
    default: return .int(Self.numbers[random.next(Self.numbers.count)])
    }
  }

  static let numbers = [
    0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 64, 127, 128, 255, 256, 512, 1000, 1024, 4096, 65535, 65536, 1 << 20, 1 << 22, 1 << 30,
    Int(Int32.max), 1 << 31, 1 << 32, 1 << 40, 1 << 53, .max, .min, -1, -2,
  ]
  /// Strings that mean something somewhere: names of members come from the seeds.
  static let words = [
    "", "▁", "Ġ", "é", "e\u{301}", "🙂", "\u{0}", "\\", "\"", " ", "\n", "a", "<0x41>", "<s>", "(a+)+$", ".*", "((((", "[a-z]", "a{1,9}",
    "default", "linear", "llama3", "dynamic", "yarn", "float16", "bfloat16", "float32", "silu", "gelu", "LlamaForCausalLM", "MistralForCausalLM",
    "BPE", "ByteLevel", "Metaspace", "Sequence", "Split", "NFC", "Replace", "Prepend", "Isolated", "type", "content", "id",
    "user", "assistant", "text", "{{ messages }}", "{% for m in messages %}{{ m }}{% endfor %}", "true", "none",
  ]
}

/// Small and repeatable.
struct Random: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return (state ^ state >> 29) &* 0xBF58_476D_1CE4_E5B9
  }
  mutating func next(_ count: Int) -> Int { count <= 1 ? 0 : Int((next() >> 33) % UInt64(count)) }
}
