import JSON

/// A token that is looked for in the text itself, before any cutting.
struct AddedToken: Sendable, Hashable {
  /// Bytes. Every place of a text may be the beginning of one, so a long one costs its length as often.
  static let longestContent = 512

  var content: String
  var id: Int32
  /// Marks structure (`<|im_end|>`): left out of decoded text on request.
  var isSpecial: Bool
  /// Found only between characters that are no part of a word.
  var singleWord = false
  /// Swallows white space to its left, to its right.
  var stripsLeft = false
  var stripsRight = false
  /// Looked for after normalization, in its normalized form.
  var normalized = false
}

/// Finds added tokens: of those that start leftmost, the longest.
struct AddedTokenFinder: Sendable {
  enum Piece: Equatable, Sendable {
    case text(Range<Int>)
    case token(Int32)
  }
  private var tokens: [AddedToken] = []
  /// A trie: node and byte to node. Node 0 is the root.
  private var edges: [UInt64: Int32] = [:]
  /// For each node the index in `tokens` of the one that ends there, or -1.
  private var endings: [Int32] = [-1]
  private var isFirstByte = [Bool](repeating: false, count: 256)

  var isEmpty: Bool { tokens.isEmpty }

  /// - Parameter spelling: What to look for, which for a normalized token is not its content.
  mutating func insert(_ token: AddedToken, spelling: [UInt8]) {
    guard let first = spelling.first else { return }
    isFirstByte[Int(first)] = true
    var node: Int32 = 0
    for byte in spelling {
      let edge = UInt64(node) << 8 | UInt64(byte)
      if let next = edges[edge] {
        node = next
      } else {
        node = Int32(endings.count)
        edges[edge] = node
        endings.append(-1)
      }
    }
    endings[Int(node)] = Int32(tokens.count)
    tokens.append(token)
  }

  /// Cuts `range` into added tokens and what lies between them.
  func pieces(of text: [UInt8], _ range: Range<Int>) -> [Piece] {
    guard !isEmpty else { return [.text(range)] }
    var pieces: [Piece] = []
    var done = range.lowerBound
    var scanned = done  // white space after a token was looked for up to here
    var index = range.lowerBound
    while index < range.upperBound {
      guard isFirstByte[Int(text[index])], let (token, matchEnd) = longest(text, index, range.upperBound) else {
        index += 1
        continue
      }
      var start = index
      var end = matchEnd
      index = matchEnd
      if token.singleWord, Self.isWord(text, before: start, range) || Self.isWord(text, at: end, range) { continue }
      // White space is scanned once, however many tokens stand in it.
      if token.stripsLeft { start = max(done, Self.spaceStart(text, start, min(start, done))) }
      if token.stripsRight {
        end = Self.spaceEnd(text, max(end, scanned), range.upperBound)
        scanned = end
      }
      if done < start { pieces.append(.text(done..<start)) }
      pieces.append(.token(token.id))
      // As Hugging Face's tokenizers: one in the space that the last has swallowed goes on where it ends itself.
      done = end
    }
    if done < range.upperBound { pieces.append(.text(done..<range.upperBound)) }
    return pieces
  }

  private func longest(_ text: [UInt8], _ start: Int, _ limit: Int) -> (AddedToken, end: Int)? {
    var node: Int32 = 0
    var found: (AddedToken, end: Int)?
    var index = start
    while index < limit, let next = edges[UInt64(node) << 8 | UInt64(text[index])] {
      node = next
      index += 1
      if endings[Int(node)] >= 0 { found = (tokens[Int(endings[Int(node)])], index) }
    }
    return found
  }

  private static func isWord(_ text: [UInt8], before index: Int, _ range: Range<Int>) -> Bool {
    index > range.lowerBound && isWord(text, at: UTF8Text.start(of: text, scalarBefore: index), range)
  }
  /// `\w`: letters, marks, decimal digits, connectors.
  private static func isWord(_ text: [UInt8], at index: Int, _ range: Range<Int>) -> Bool {
    guard index < range.upperBound, let scalar = Unicode.Scalar(UTF8Text.scalar(of: text, at: index).value) else {
      return false
    }
    switch scalar.properties.generalCategory {
    case .decimalNumber, .connectorPunctuation, .nonspacingMark, .spacingMark, .enclosingMark: return true
    default: return scalar.properties.isAlphabetic || scalar.properties.isJoinControl
    }
  }
  private static func spaceStart(_ text: [UInt8], _ end: Int, _ limit: Int) -> Int {
    var start = end
    while start > limit {
      let before = UTF8Text.start(of: text, scalarBefore: start)
      guard ScalarClass.of(text, at: before).class.isSpace else { break }
      start = before
    }
    return start
  }
  private static func spaceEnd(_ text: [UInt8], _ start: Int, _ limit: Int) -> Int {
    var end = start
    while end < limit {
      let (kind, next) = ScalarClass.of(text, at: end)
      guard kind.isSpace else { break }
      end = next
    }
    return end
  }
}

extension AddedToken {
  init(_ json: JSONValue, reader: JSONMembers) throws(TokenizerError) {
    let special = try reader.bool(json, "special", default: false)
    self.init(
      content: try reader.string(json, "content"), id: try reader.id(json, "id"), isSpecial: special,
      singleWord: try reader.bool(json, "single_word", default: false),
      stripsLeft: try reader.bool(json, "lstrip", default: false),
      stripsRight: try reader.bool(json, "rstrip", default: false),
      normalized: try reader.bool(json, "normalized", default: !special))
  }
}
