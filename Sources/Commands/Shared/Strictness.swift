/// Warnings where `--strict` was given.
struct StrictError: Error, CustomStringConvertible {
  let warnings: [String]

  var description: String {
    let shown = warnings.prefix(10).map { "\n  \($0)" }.joined()
    let rest = warnings.count > 10 ? "\n  … and \(warnings.count - 10) more" : ""
    return "\(warnings.count) warning(s), which --strict makes errors:\(shown)\(rest)\n"
      + "Mend what they name, or leave --strict out. Nothing was written."
  }
}

extension CommandLog {
  /// Says each once; where `isStrict` is set, any is an error.
  func warnings(_ all: [String], isStrict: Bool) throws(StrictError) {
    var said: Set<String> = []
    let each = all.filter { said.insert($0).inserted }
    if isStrict, !each.isEmpty { throw StrictError(warnings: each) }
    warnings(each)
  }
}
