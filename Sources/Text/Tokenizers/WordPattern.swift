/// The regular expressions by which published tokenizers cut text into words, as hand-written scanners.
///
/// Every pattern matches at every place, so words follow each other without gaps.
enum WordPattern: Sendable, Equatable {
  /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
  case gpt2
  /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,D}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
  /// where D is 3 in Llama 3 and 1 in Qwen2.
  case tiktoken(maximumDigits: Int)

  /// The spellings under which the patterns are published.
  static let published: [(pattern: String, name: String, scanner: WordPattern)] = [
    (#"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#, "GPT-2", .gpt2),
    (#"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#, "GPT-2", .gpt2),
    (
      #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
      "Llama 3", .tiktoken(maximumDigits: 3)
    ),
    (
      #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#,
      "cl100k", .tiktoken(maximumDigits: 3)
    ),
    (qwen2, "Qwen2", .tiktoken(maximumDigits: 1)),
  ]
  static let qwen2 = #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

  /// Where the word ends that starts at `start`. Looks at nothing at or after `limit`.
  /// - Precondition: `start < limit`, both between scalars.
  func end(of text: [UInt8], from start: Int, limit: Int) -> Int {
    switch self {
    case .gpt2: Self.endGPT2(text, start, limit)
    case .tiktoken(let maximumDigits): Self.endTiktoken(text, start, limit, maximumDigits)
    }
  }

  private static func endGPT2(_ text: [UInt8], _ start: Int, _ limit: Int) -> Int {
    if let end = contraction(text, start, limit, anyCase: false) { return end }
    // ` ?` before a run of one class
    let body = text[start] == 0x20 && start + 1 < limit ? start + 1 : start
    let (kind, end) = ScalarClass.of(text, at: body)
    if !kind.isSpace { return runEnd(text, end, limit) { $0 == kind } }
    return spacesEnd(text, start, limit)
  }

  private static func endTiktoken(_ text: [UInt8], _ start: Int, _ limit: Int, _ maximumDigits: Int) -> Int {
    if let end = contraction(text, start, limit, anyCase: true) { return end }
    let (first, afterFirst) = ScalarClass.of(text, at: start)
    switch first {
    case .letter: return runEnd(text, afterFirst, limit) { $0 == .letter }
    case .number:
      var end = afterFirst
      for _ in 1..<maximumDigits where end < limit {
        let (kind, next) = ScalarClass.of(text, at: end)
        guard kind == .number else { break }
        end = next
      }
      return end
    case .newline: return tiktokenSpacesEnd(text, start, limit)
    case .space, .other:
      // `[^\r\n\p{L}\p{N}]?\p{L}+`
      var second: (class: ScalarClass, end: Int)?
      if afterFirst < limit { second = ScalarClass.of(text, at: afterFirst) }
      if let second, second.class == .letter { return runEnd(text, second.end, limit) { $0 == .letter } }
      // ` ?[^\s\p{L}\p{N}]+[\r\n]*`
      if first == .other || (text[start] == 0x20 && second?.class == .other) {
        let symbols = runEnd(text, afterFirst, limit) { $0.isSymbol }
        return runEnd(text, symbols, limit) { $0 == .newline }
      }
      return tiktokenSpacesEnd(text, start, limit)
    }
  }

  /// `'s|'t|'re|'ve|'m|'ll|'d`
  private static func contraction(_ text: [UInt8], _ start: Int, _ limit: Int, anyCase: Bool) -> Int? {
    guard text[start] == 0x27, start + 1 < limit else { return nil }
    func letter(_ index: Int) -> UInt8 {
      guard index < limit else { return 0 }
      return anyCase && (0x41...0x5A).contains(text[index]) ? text[index] | 0x20 : text[index]
    }
    switch letter(start + 1) {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return start + 2
    case UInt8(ascii: "r"), UInt8(ascii: "v"): return letter(start + 2) == UInt8(ascii: "e") ? start + 3 : nil
    case UInt8(ascii: "l"): return letter(start + 2) == UInt8(ascii: "l") ? start + 3 : nil
    case 0xC5 where anyCase && start + 2 < limit && text[start + 2] == 0xBF: return start + 3  // ſ folds to s
    default: return nil
    }
  }

  /// `\s+(?!\S)|\s+`: white space, but its last character belongs to the word that follows, if one does.
  private static func spacesEnd(_ text: [UInt8], _ start: Int, _ limit: Int) -> Int {
    let end = runEnd(text, start, limit) { $0.isSpace }
    guard end < limit else { return end }
    let last = UTF8Text.start(of: text, scalarBefore: end)
    return last > start ? last : end
  }

  /// `\s*[\r\n]+|\s+(?!\S)|\s+`: up to the last line end of the white space, if it has one.
  private static func tiktokenSpacesEnd(_ text: [UInt8], _ start: Int, _ limit: Int) -> Int {
    var afterNewline: Int?
    var index = start
    while index < limit {
      let (kind, end) = ScalarClass.of(text, at: index)
      guard kind.isSpace else { break }
      if kind == .newline { afterNewline = end }
      index = end
    }
    return afterNewline ?? spacesEnd(text, start, limit)
  }

  @inline(__always)
  private static func runEnd(
    _ text: [UInt8], _ start: Int, _ limit: Int, _ belongs: (ScalarClass) -> Bool
  ) -> Int {
    var index = start
    while index < limit {
      let (kind, end) = ScalarClass.of(text, at: index)
      guard belongs(kind) else { break }
      index = end
    }
    return index
  }
}
