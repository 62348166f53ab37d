/// Names of the files of one rank each: `rank0.engine`, `rank12.safetensors`.
public enum RankFile {
  /// The number in `rank{n}{ending}`; nil for other names. One beyond `Int` counts as the largest.
  public static func number(_ name: String, _ ending: String) -> Int? {
    guard name.hasPrefix("rank"), name.hasSuffix(ending), name.utf8.count > 4 + ending.utf8.count else { return nil }
    let digits = name.dropFirst(4).dropLast(ending.count)
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int(digits) ?? .max
  }
  /// Whether a name is `rank{n}{ending}`; the ending begins with its dot.
  public static func isOne(_ name: String, _ ending: String) -> Bool { number(name, ending) != nil }
  /// The first name in the given order that is `rank{n}{ending}`; nil where none is.
  public static func first(in names: some Sequence<String>, _ ending: String) -> String? { names.first { isOne($0, ending) } }
}
