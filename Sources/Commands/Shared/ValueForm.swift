import ArgumentParser

/// The form that a flag's value must have, which its name in the help tells: `<n>`, `<x>`, `<size>`.
enum ValueForm {
  case wholeNumber, seed, number, size

  init?(valueName: String) {
    switch valueName {
    case "n", "port", "rank": self = .wholeNumber
    case "seed": self = .seed
    case "x": self = .number
    case "size": self = .size
    default: return nil
    }
  }

  var description: String {
    switch self {
    case .wholeNumber: "a whole number"
    case .seed: "a whole number from 0 to \(UInt64.max)"
    case .number: "a number"
    case .size: "a size such as 4GB or 512MiB"
    }
  }

  /// The number that a text stands for; nil where it has another form.
  func number(_ text: String) -> Double? {
    switch self {
    case .wholeNumber: Int(text).map { Double($0) } ?? UInt64(text).map { Double($0) }
    case .seed: UInt64(text).map { Double($0) }
    case .number: Double(text)
    case .size: ByteCount(argument: text).map { Double($0.count) }
    }
  }
}

/// Tells everything that is wrong with the values of a command line together.
func refuse(_ problems: [String]) throws {
  guard problems.isEmpty else { throw ValidationError(problems.joined(separator: "\n")) }
}
