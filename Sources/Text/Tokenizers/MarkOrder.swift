/// Puts long runs of combining marks into canonical order, so that the standard library's normaliser, which sorts by
/// insertion, takes a time that grows with their number and not with its square.
///
/// Marks of different classes may change places without changing the text's meaning (Unicode 3.11, D108 to D109), so every
/// normal form stays the same.
package enum MarkOrder {
  /// Runs up to here are sorted quickly in any way; real text has a handful of marks on one character.
  private static let shortRun = 32

  /// - Parameter text: UTF-8.
  package static func sorted(_ text: [UInt8]) -> String.UnicodeScalarView {
    let scalars = String(decoding: text, as: UTF8.self).unicodeScalars
    var result = String.UnicodeScalarView()
    var run: [Unicode.Scalar] = []
    func end(_ run: inout [Unicode.Scalar]) {
      if run.count > shortRun { run = inOrder(run) }
      result.append(contentsOf: run)
      run.removeAll(keepingCapacity: true)
    }
    for scalar in scalars {
      if scalar.value < 0x300 || markClass(scalar) == 0 {
        if !run.isEmpty { end(&run) }
        result.append(scalar)
      } else {
        run.append(scalar)
      }
    }
    end(&run)
    return result
  }

  /// Stable: marks of one class keep their order.
  private static func inOrder(_ run: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var byClass: [UInt8: [Unicode.Scalar]] = [:]
    for scalar in run { byClass[markClass(scalar), default: []].append(scalar) }
    return byClass.keys.sorted().flatMap { byClass[$0] ?? [] }
  }

  private static func markClass(_ scalar: Unicode.Scalar) -> UInt8 { scalar.properties.canonicalCombiningClass.rawValue }
}
