@_spi(_Unicode) import Swift
import JSON

/// What is done to text before it is cut: `normalizer` of tokenizer.json.
struct Normalizer: Sendable {
  enum Step: Sendable, Equatable {
    /// Unicode normalization form C.
    case composed
    case prepend([UInt8])
    case replace([UInt8], with: [UInt8])
  }
  var steps: [Step] = []

  func apply(_ text: [UInt8]) -> [UInt8] {
    var text = text
    for step in steps {
      switch step {
      case .composed:
        // ASCII is in every normal form.
        guard !text.allSatisfy({ $0 < 0x80 }) else { continue }
        // The standard library's own normaliser, the one behind String's ==. It is not public API; Foundation's
        // would bring in ICU and tens of megabytes.
        var composed = String.UnicodeScalarView()
        for scalar in String(MarkOrder.sorted(text))._nfc { composed.append(scalar) }
        text = Array(String(composed).utf8)
      case .prepend(let prefix):
        if !text.isEmpty { text = prefix + text }
      case .replace(let pattern, let replacement):
        text = Self.replacing(pattern, in: text, with: replacement)
      }
    }
    return text
  }

  static func replacing(_ pattern: [UInt8], in text: [UInt8], with replacement: [UInt8]) -> [UInt8] {
    guard let first = pattern.first, text.contains(first) else { return text }
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var index = 0
    while index < text.count {
      if text[index] == first, text[index...].starts(with: pattern) {
        result += replacement
        index += pattern.count
      } else {
        result.append(text[index])
        index += 1
      }
    }
    return result
  }
}

extension Normalizer {
  /// Published normalisers triple a space at most ("▁" is three bytes).
  private static let largestGrowth = 64
  /// Bytes put in front of each piece of text, and steps: published ones have three and a few.
  private static let longestPrefix = 256
  private static let mostSteps = 64

  init(_ json: JSONValue?, reader: JSONMembers) throws(TokenizerError) {
    guard let json, !json.isNull else { return }
    switch json["type"]?.string {
    case "Sequence":
      for (index, step) in try reader.array(json, "normalizers", at: "normalizer").enumerated() {
        steps += try Normalizer(step, reader: reader.inside("normalizer.normalizers[\(index)]")).steps
      }
    case "NFC": steps = [.composed]
    case "Prepend": steps = [.prepend(Array(try reader.string(json, "prepend").utf8))]
    case "Replace":
      let pattern = json["pattern"]?["String"]?.string
      guard let pattern, !pattern.isEmpty else {
        throw reader.unsupported(
          "the pattern of normalizer Replace", json["pattern"]?.serialized() ?? "absent", #"{"String": …}"#)
      }
      steps = [.replace(Array(pattern.utf8), with: Array(try reader.string(json, "content").utf8))]
    case let type:
      throw reader.unsupported("normalizer", type ?? "without a type", "NFC, Prepend, Replace, Sequence")
    }
    try checkSize(reader)
  }

  /// Replacements of replacements multiply: a file must not turn a line into gigabytes.
  private func checkSize(_ reader: JSONMembers) throws(TokenizerError) {
    guard steps.count <= Self.mostSteps else {
      throw reader.unsupported("normalizer", "of \(steps.count) steps", "at most \(Self.mostSteps)")
    }
    var growth = 1, prefix = 0
    for step in steps {
      switch step {
      case .composed: break
      case .prepend(let bytes): prefix += bytes.count
      case .replace(let pattern, let content):
        let factor = max(1, (content.count + pattern.count - 1) / pattern.count)
        growth = growth.multipliedReportingOverflow(by: factor).overflow ? .max : growth * factor
      }
    }
    guard growth <= Self.largestGrowth else {
      throw reader.unsupported("normalizer", "that makes text \(growth) times as long", "at most \(Self.largestGrowth) times")
    }
    let longest = prefix * growth  // where the prefix comes first, it grows as well
    guard longest <= Self.longestPrefix else {
      throw reader.unsupported("normalizer", "that puts \(longest) bytes before each piece of text", "at most \(Self.longestPrefix)")
    }
  }
}
