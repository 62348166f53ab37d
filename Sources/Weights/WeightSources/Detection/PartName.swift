extension String {
  /// Whether a file of this name should be a GGUF file.
  package var isGGUFName: Bool { lowercased().hasSuffix(".gguf") }
}

/// A file name that says which part of how many it is: `model-00002-of-00003.safetensors`.
package struct PartName: Hashable {
  /// What stands before the numbers, without the hyphen.
  package let prefix: String
  /// From 1.
  let number: Int
  let count: Int
  /// With its dot.
  let ending: String

  /// Both numbers have five digits, as Hugging Face and llama.cpp write them.
  package init?(_ name: String, ending: String) {
    guard name.hasSuffix(ending) else { return nil }
    let stem = name.dropLast(ending.count)
    let numbers = stem.suffix(14)  // 00002-of-00003
    guard numbers.count == 14, stem.dropLast(14).last == "-", numbers.dropFirst(5).hasPrefix("-of-"),
      let number = Self.number(numbers.prefix(5)), let count = Self.number(numbers.suffix(5)), count >= 1, (1...count).contains(number)
    else { return nil }
    prefix = String(stem.dropLast(15))
    self.number = number
    self.count = count
    self.ending = ending
  }
  /// Of a GGUF file, however its ending is written.
  package init?(gguf name: String) {
    guard name.isGGUFName else { return nil }
    self.init(name, ending: String(name.suffix(5)))
  }
  private init(_ other: PartName, number: Int) {
    (prefix, count, ending, self.number) = (other.prefix, other.count, other.ending, number)
  }
  private static func number(_ digits: Substring) -> Int? {
    digits.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(digits) : nil
  }
  private static func digits(_ number: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, 5 - text.count)) + text
  }

  var name: String { prefix + Self.ending(number, of: count) + ending }
  /// `-00002-of-00003`
  static func ending(_ number: Int, of count: Int) -> String { "-\(digits(number))-of-\(digits(count))" }
  /// The names of all parts, in order.
  var all: [String] { (1...count).map { PartName(self, number: $0).name } }
}
