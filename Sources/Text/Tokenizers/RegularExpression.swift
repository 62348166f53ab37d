/// A regular expression of `pre_tokenizer`, in the part of Oniguruma's language that published tokenizers use: sets, general
/// categories, groups, choices, repetition, what must or must not follow.
///
/// It tries choices in order and goes back where one fails. A place of the expression that failed at a place of the text is not tried
/// there again, so the work grows with the product of their lengths and no more.
struct RegularExpression: Sendable, Equatable {
  enum Operation: Sendable, Equatable {
    case scalar(ScalarSet)
    /// Goes on at the first, and where that fails at the second.
    case either(Int, Int)
    case jump(Int)
    /// Holds where what begins at the next place and ends with ``done`` can follow, or cannot; goes on at `end`.
    case follows(Bool, end: Int)
    /// The text or a line ends here, the text or a line begins here, between a word and what is none.
    case lineEnd, textEnd, lineStart, textStart, wordEdge(Bool)
    case done
  }
  private(set) var operations: [Operation] = []

  static let longest = 4096
  private static let mostOperations = 1 << 14

  /// Why an expression cannot be used.
  struct Unsupported: Error {
    let reason: String
  }

  init(_ pattern: String) throws(Unsupported) {
    guard pattern.unicodeScalars.count <= Self.longest else { throw Unsupported(reason: "longer than \(Self.longest) characters") }
    var parser = RegularExpressionParser(pattern)
    let node = try parser.whole()
    guard !node.canBeEmpty else { throw Unsupported(reason: "it matches nothing at all") }
    try add(node)
    operations.append(.done)
  }

  private mutating func append(_ operation: Operation) throws(Unsupported) {
    guard operations.count < Self.mostOperations else { throw Unsupported(reason: "too many repetitions") }
    operations.append(operation)
  }

  /// Nodes that were added, those that need no operation among them: repetitions of nothing are bounded, too.
  private var rounds = 0

  private mutating func add(_ node: RegularExpressionNode) throws(Unsupported) {
    rounds += 1
    guard rounds < 1 << 16 else { throw Unsupported(reason: "too many repetitions") }
    switch node {
    case .set(let set): try append(.scalar(set))
    case .place(let operation): try append(operation)
    case .sequence(let nodes): for node in nodes { try add(node) }
    case .choice(let nodes):
      var jumps: [Int] = []
      for (index, node) in nodes.enumerated() {
        guard index + 1 < nodes.count else { try add(node); break }
        let place = operations.count
        try append(.jump(0))
        try add(node)
        jumps.append(operations.count)
        try append(.jump(0))
        operations[place] = .either(place + 1, operations.count)
      }
      for place in jumps { operations[place] = .jump(operations.count) }
    case .repeated(let node, let least, let most, let isGreedy):
      for _ in 0..<least { try add(node) }
      guard let most else {
        guard !node.canBeEmpty else { throw Unsupported(reason: "it repeats what can be empty") }
        let place = operations.count
        try append(.jump(0))
        try add(node)
        try append(.jump(place))
        operations[place] = isGreedy ? .either(place + 1, operations.count) : .either(operations.count, place + 1)
        return
      }
      var places: [Int] = []
      for _ in 0..<max(0, most - least) {
        places.append(operations.count)
        try append(.jump(0))
        try add(node)
      }
      for place in places { operations[place] = isGreedy ? .either(place + 1, operations.count) : .either(operations.count, place + 1) }
    case .follows(let node, let isWanted):
      guard !node.isUnbounded else { throw Unsupported(reason: "it looks ahead without an end") }
      let place = operations.count
      try append(.jump(0))
      try add(node)
      try append(.done)
      operations[place] = .follows(isWanted, end: operations.count)
    }
  }
}

indirect enum RegularExpressionNode {
  case set(ScalarSet)
  case place(RegularExpression.Operation)
  case sequence([RegularExpressionNode])
  case choice([RegularExpressionNode])
  case repeated(RegularExpressionNode, least: Int, most: Int?, isGreedy: Bool)
  case follows(RegularExpressionNode, Bool)

  var canBeEmpty: Bool {
    switch self {
    case .set: false
    case .place, .follows: true
    case .sequence(let nodes): nodes.allSatisfy(\.canBeEmpty)
    case .choice(let nodes): nodes.contains(where: \.canBeEmpty)
    case .repeated(let node, let least, _, _): least == 0 || node.canBeEmpty
    }
  }
  var isUnbounded: Bool {
    switch self {
    case .set, .place: false
    case .sequence(let nodes), .choice(let nodes): nodes.contains(where: \.isUnbounded)
    case .repeated(let node, _, let most, _): most == nil || node.isUnbounded
    case .follows(let node, _): node.isUnbounded
    }
  }
}
