package import JSON

/// Cuts text into the words that are encoded one by one: `pre_tokenizer` of tokenizer.json.
struct PreTokenizer: Sendable {
  enum Step: Sendable, Equatable {
    /// `addsPrefix`: a text that starts with no space gets one. `pattern`: cut into words.
    case byteLevel(addsPrefix: Bool, pattern: WordPattern?)
    case split(WordPattern)
    case splitAt([UInt8], SplitBehavior)
    /// `isInverted`: what does not match is the separator.
    case expression(RegularExpression, SplitBehavior, isInverted: Bool)
    /// Runs of numbers apart from the rest; `individually`, every digit apart.
    case digits(individually: Bool)
    case metaspace(Metaspace)
  }
  /// What becomes of a separator that text is split at.
  enum SplitBehavior: String, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"
  }
  /// SentencePiece's way: spaces become visible and start words.
  struct Metaspace: Sendable, Equatable {
    enum Prepend: String, Sendable {
      case always, first, never
    }
    var replacement: [UInt8]
    var prepend: Prepend
    var splits: Bool
  }
  var steps: [Step] = []

  /// Calls `body` for every word in order; the word is a range of the text that goes with it.
  ///
  /// - Parameter startsText: Whether `range` is the beginning of what the caller wants encoded.
  func forEachWord(
    of text: [UInt8], in range: Range<Int>, startsText: Bool, _ body: ([UInt8], Range<Int>) -> Void
  ) {
    run(0, text, range, startsText, body)
  }

  /// Whether words are bytes; that step has to be the last, since it is where text ends.
  func isByteLevel(_ reader: JSONMembers) throws(TokenizerError) -> Bool {
    let isLevel = steps.map { if case .byteLevel = $0 { true } else { false } }
    guard !isLevel.dropLast().contains(true) else {
      throw reader.unsupported("pre_tokenizer ByteLevel", "before another step", "ByteLevel as the last step")
    }
    return isLevel.last ?? false
  }

  /// Cuts `range` by step `index` and hands the pieces to the next. A step that changes text makes a new one.
  private func run(
    _ index: Int, _ text: [UInt8], _ range: Range<Int>, _ startsText: Bool, _ body: ([UInt8], Range<Int>) -> Void
  ) {
    guard !range.isEmpty else { return }
    guard index < steps.count else { return body(text, range) }
    func next(_ text: [UInt8], _ piece: Range<Int>) {
      run(index + 1, text, piece, startsText && piece.lowerBound == 0, body)
    }
    func cut(_ text: [UInt8], _ range: Range<Int>, _ pattern: WordPattern) {
      var start = range.lowerBound
      while start < range.upperBound {
        let end = pattern.end(of: text, from: start, limit: range.upperBound)
        next(text, start..<end)
        start = end
      }
    }
    switch steps[index] {
    case .split(let pattern): cut(text, range, pattern)
    case .byteLevel(let addsPrefix, let pattern):
      var text = text
      var range = range
      if addsPrefix, text[range.lowerBound] != 0x20 {
        text = [0x20] + text[range]
        range = 0..<text.count
      }
      if let pattern { cut(text, range, pattern) } else { next(text, range) }
    case .digits(let individually):
      var start = range.lowerBound  // of the piece that grows
      var position = start
      var inNumber: Bool?
      while position < range.upperBound {
        let (kind, end) = ScalarClass.of(text, at: position)
        let isNumber = kind == .number
        if let inNumber, inNumber != isNumber || (isNumber && individually) {
          next(text, start..<position)
          start = position
        }
        inNumber = isNumber
        position = end
      }
      next(text, start..<range.upperBound)
    case .splitAt(let separator, let behavior): split(text, range, separator, behavior, next)
    case .expression(let expression, let behavior, let isInverted):
      for piece in Self.pieces(expression.cut(text, range).map { ($0.range, $0.isMatch != isInverted) }, behavior) { next(text, piece) }
    case .metaspace(let metaspace):
      var changed = Normalizer.replacing([0x20], in: Array(text[range]), with: metaspace.replacement)
      let wanted = metaspace.prepend == .always || (metaspace.prepend == .first && startsText && range.lowerBound == 0)
      if wanted, !changed.starts(with: metaspace.replacement) { changed = metaspace.replacement + changed }
      let whole = 0..<changed.count
      if metaspace.splits { split(changed, whole, metaspace.replacement, .mergedWithNext, next) } else { next(changed, whole) }
    }
  }

  /// Separators and what lies between them, put together as `behavior` says.
  private static func pieces(_ cuts: [(range: Range<Int>, isSeparator: Bool)], _ behavior: SplitBehavior) -> [Range<Int>] {
    var pieces: [Range<Int>] = []
    var endsWithSeparator = false
    switch behavior {
    case .removed: return cuts.filter { !$0.isSeparator }.map(\.range)
    case .isolated: return cuts.map(\.range)
    case .contiguous, .mergedWithPrevious:
      for (range, isSeparator) in cuts {
        let joins = behavior == .contiguous ? isSeparator == endsWithSeparator : isSeparator && !endsWithSeparator
        if joins, let last = pieces.popLast() { pieces.append(last.lowerBound..<range.upperBound) } else { pieces.append(range) }
        endsWithSeparator = isSeparator
      }
      return pieces
    case .mergedWithNext:
      for (range, isSeparator) in cuts.reversed() {
        if isSeparator, !endsWithSeparator, let last = pieces.popLast() { pieces.append(range.lowerBound..<last.upperBound) } else { pieces.append(range) }
        endsWithSeparator = isSeparator
      }
      return pieces.reversed()
    }
  }

  private func split(
    _ text: [UInt8], _ range: Range<Int>, _ separator: [UInt8], _ behavior: SplitBehavior,
    _ piece: ([UInt8], Range<Int>) -> Void
  ) {
    var start = range.lowerBound
    var index = start
    while index + separator.count <= range.upperBound {
      guard text[index..<range.upperBound].starts(with: separator) else { index += 1; continue }
      var end = index + separator.count
      switch behavior {
      case .removed, .isolated, .contiguous:
        if behavior == .contiguous {
          while text[end..<range.upperBound].starts(with: separator) { end += separator.count }
        }
        if start < index { piece(text, start..<index) }
        if behavior != .removed { piece(text, index..<end) }
        start = end
      case .mergedWithPrevious:
        piece(text, start..<end)
        start = end
      case .mergedWithNext:
        if start < index { piece(text, start..<index) }
        start = index
      }
      index = end
    }
    if start < range.upperBound { piece(text, start..<range.upperBound) }
  }
}

extension PreTokenizer {
  /// Steps run inside each other, so their number is bounded.
  private static let maximumStepCount = 32

  init(_ json: JSONValue?, reader: JSONMembers) throws(TokenizerError) {
    guard let json, !json.isNull else { return }
    switch json["type"]?.string {
    case "Sequence":
      for (index, step) in try reader.array(json, "pretokenizers").enumerated() {
        steps += try PreTokenizer(step, reader: reader.inside(reader.place("pretokenizers[\(index)]"))).steps
        guard steps.count <= Self.maximumStepCount else {
          throw reader.invalid("pretokenizers", "at most \(Self.maximumStepCount) steps")
        }
      }
    case "ByteLevel":
      let pattern = try reader.bool(json, "use_regex", default: true) ? WordPattern.gpt2 : nil
      steps = [.byteLevel(addsPrefix: try reader.bool(json, "add_prefix_space", default: true), pattern: pattern)]
    case "Digits": steps = [.digits(individually: try reader.bool(json, "individual_digits", default: false))]
    case "Split": steps = [try Self.split(json, reader)]
    case "Metaspace":
      let replacement = try reader.string(json, "replacement")
      guard replacement.unicodeScalars.count == 1 else { throw reader.invalid("replacement", "one character") }
      var prepend = Metaspace.Prepend.always
      if let scheme = json["prepend_scheme"], !scheme.isNull {
        guard let known = scheme.string.flatMap(Metaspace.Prepend.init) else {
          throw reader.unsupported("prepend_scheme", scheme.serialized(), "always, first, never")
        }
        prepend = known
      } else if try !reader.bool(json, "add_prefix_space", default: true) {
        prepend = .never  // the older spelling
      }
      let splits = try reader.bool(json, "split", default: true)
      steps = [.metaspace(Metaspace(replacement: Array(replacement.utf8), prepend: prepend, splits: splits))]
    case let type:
      throw reader.unsupported(
        "pre_tokenizer", type ?? "without a type", "ByteLevel, Split, Digits, Metaspace, Sequence")
    }
  }

  private static func split(_ json: JSONValue, _ reader: JSONMembers) throws(TokenizerError) -> Step {
    guard let behavior = SplitBehavior(rawValue: try reader.string(json, "behavior")) else {
      throw reader.unsupported(
        "the behavior of pre_tokenizer Split", json["behavior"]?.string ?? "",
        "Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous")
    }
    let inverted = try reader.bool(json, "invert", default: false)
    if let pattern = json["pattern"]?["Regex"]?.string {
      // These match everywhere, so keeping the matches and dropping what lies between them is the same.
      if (behavior == .isolated && !inverted) || (behavior == .removed && inverted),
        let known = WordPattern.published.first(where: { $0.pattern == pattern })
      {
        return .split(known.scanner)
      }
      do throws(RegularExpression.Unsupported) {
        return .expression(try RegularExpression(pattern), behavior, isInverted: inverted)
      } catch {
        throw reader.unsupported("the regular expression of pre_tokenizer Split", pattern, "what published ones are made of, and this has \(error.reason)")
      }
    }
    guard let separator = json["pattern"]?["String"]?.string, !separator.isEmpty, !inverted else {
      throw reader.unsupported(
        "the pattern of pre_tokenizer Split", json["pattern"]?.serialized() ?? "absent",
        #"{"Regex": …} and, not inverted, {"String": …}"#)
    }
    return .splitAt(Array(separator.utf8), behavior)
  }
}

/// Texts cut as a `pre_tokenizer` says, for comparison.
package struct WordCutter: Sendable {
  private let steps: PreTokenizer

  /// - Parameter json: `pre_tokenizer` of tokenizer.json.
  package init(_ json: JSONValue) throws(TokenizerError) { steps = try PreTokenizer(json, reader: JSONMembers(file: "tokenizer.json", path: "pre_tokenizer")) }

  /// The words' lengths, in bytes.
  package func lengths(of text: String) -> [Int] {
    let bytes = Array(text.utf8)
    var lengths: [Int] = []
    steps.forEachWord(of: bytes, in: 0..<bytes.count, startsText: true) { lengths.append($1.count) }
    return lengths
  }
}
