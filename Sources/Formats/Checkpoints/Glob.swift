/// A shell pattern over a whole tensor name: `*` stands for any text (dots too), `?` for one character, `[a-c]` and
/// `[!a-c]` for one of a set.
public struct Glob: Sendable, Hashable {
  /// As it was given.
  public let pattern: String
  private let parts: [Part]

  private enum Part: Sendable, Hashable {
    case any
    case one
    case literal(UnicodeScalar)
    case set([ClosedRange<UnicodeScalar>], negated: Bool)
  }

  /// Takes any text: a bracket that is never closed stands for itself.
  public init(_ pattern: String) {
    self.pattern = pattern
    var parts: [Part] = []
    let scalars = Array(pattern.unicodeScalars)
    // What closes no bracket is looked for once.
    let lastClosing = scalars.lastIndex(of: "]") ?? -1
    var index = 0
    while index < scalars.count {
      switch scalars[index] {
      case "*": if parts.last != .any { parts.append(.any) }
      case "?": parts.append(.one)
      case "[":
        if index < lastClosing, let (set, end) = Self.set(scalars, after: index) {
          parts.append(set)
          index = end
        } else {
          parts.append(.literal("["))  // as in a shell: a bracket that is never closed stands for itself
        }
      case let scalar: parts.append(.literal(scalar))
      }
      index += 1
    }
    self.parts = parts
  }

  /// The set that starts at `open`, and where its closing bracket is.
  private static func set(_ scalars: [UnicodeScalar], after open: Int) -> (Part, Int)? {
    var index = open + 1
    let negated = index < scalars.count && (scalars[index] == "!" || scalars[index] == "^")
    if negated { index += 1 }
    var ranges: [ClosedRange<UnicodeScalar>] = []
    let first = index
    while index < scalars.count, scalars[index] != "]" || index == first {
      if index + 2 < scalars.count, scalars[index + 1] == "-", scalars[index + 2] != "]" {
        if scalars[index] <= scalars[index + 2] { ranges.append(scalars[index]...scalars[index + 2]) }
        index += 3
      } else {
        ranges.append(scalars[index]...scalars[index])
        index += 1
      }
    }
    return index < scalars.count ? (.set(ranges, negated: negated), index) : nil
  }

  /// Whether the pattern stands for all of `name`. Time grows with the product of the two lengths at most.
  public func matches(_ name: String) -> Bool {
    let scalars = Array(name.unicodeScalars)
    var part = 0
    var index = 0
    var retry: (part: Int, index: Int)?  // the last `*`, and how much of the name it has taken
    while index < scalars.count {
      if part < parts.count, parts[part] == .any {
        retry = (part + 1, index)
        part += 1
      } else if part < parts.count, accepts(parts[part], scalars[index]) {
        part += 1
        index += 1
      } else if let (after, taken) = retry {
        retry = (after, taken + 1)
        (part, index) = (after, taken + 1)
      } else {
        return false
      }
    }
    return parts[part...].allSatisfy { $0 == .any }
  }

  private func accepts(_ part: Part, _ scalar: UnicodeScalar) -> Bool {
    switch part {
    case .any: false
    case .one: true
    case .literal(let wanted): wanted == scalar
    case .set(let ranges, let negated): ranges.contains { $0.contains(scalar) } != negated
    }
  }
}
