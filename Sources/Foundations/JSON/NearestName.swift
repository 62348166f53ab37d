/// The candidate with the fewest edits to `name`, if it is near enough to be meant; nil for a name that is too long to be one.
package func nearestName(to name: String, among candidates: some Sequence<String>) -> String? {
  let wanted = Array(name.utf8)
  guard wanted.count <= 256 else { return nil }
  var best: (name: String, distance: Int)?
  for candidate in candidates {
    let distance = editDistance(wanted, Array(candidate.utf8), limit: best?.distance ?? (wanted.count / 3 + 1))
    if let distance, distance < best?.distance ?? .max { best = (candidate, distance) }
  }
  return best?.name
}

/// Insertions, deletions and replacements between two words; nil beyond `limit`.
private func editDistance(_ one: [UInt8], _ other: [UInt8], limit: Int) -> Int? {
  guard abs(one.count - other.count) <= limit else { return nil }
  var row = Array(0...other.count)
  for (i, a) in one.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, b) in other.enumerated() {
      let replaced = diagonal + (a == b ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
    }
    if let least = row.min(), least > limit { return nil }
  }
  return row[other.count] <= limit ? row[other.count] : nil
}
