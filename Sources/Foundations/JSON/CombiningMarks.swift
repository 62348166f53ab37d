/// Bounds runs of combining marks in text out of files.
///
/// Comparing and hashing a `String` brings it into canonical order, for which the standard library sorts each run of marks
/// by insertion: a name of a megabyte of marks would take minutes. Bounded runs make that linear in the text.
public enum CombiningMarks {
  /// Twice what the Stream-Safe Text Format (Unicode Standard Annex 15) allows, which is more than any language writes.
  public static let limit = 64

  /// Whether more than `limit` scalars of a combining class other than 0 follow each other.
  public static func haveRun(in text: String, longerThan limit: Int) -> Bool {
    // The first mark is U+0300: two bytes, of which the first is 0xCC.
    guard text.utf8.count / 2 > limit, text.utf8.contains(where: { $0 >= 0xCC }) else { return false }
    var run = 0
    for scalar in text.unicodeScalars {
      guard scalar.value >= 0x300, scalar.properties.canonicalCombiningClass != .notReordered else {
        run = 0
        continue
      }
      run += 1
      if run > limit { return true }
    }
    return false
  }
}
