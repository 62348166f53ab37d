/// Look-ups in an adapter's configuration whose faults are gathered, so that one error names all of them.
struct AdapterSettings {
  let reader: ConfigReader
  /// Of all patterns together.
  private var budget = ModulePattern.Budget()
  private(set) var problems: [AdapterProblem] = []

  init(_ reader: ConfigReader) { self.reader = reader }

  mutating func add(_ problem: AdapterProblem) { problems.append(problem) }

  /// - Returns: nil where the value cannot be had, which is noted.
  @discardableResult mutating func take<Value>(
    _ read: (ConfigReader, inout ModulePattern.Budget) throws(WeightSourceError) -> Value
  ) -> Value? {
    do throws(WeightSourceError) { return try read(reader, &budget) } catch {
      problems.append(AdapterProblem(error))
      return nil
    }
  }
  /// A flag that is false where it is absent or null.
  mutating func flag(_ key: String) -> Bool? {
    take { (reader, _) throws(WeightSourceError) in try reader.optional(key, "true or false", \.bool) ?? false }
  }
}

extension AdapterProblem {
  /// What is wrong with a value of a configuration.
  fileprivate init(_ error: WeightSourceError) {
    let text =
      switch error.problem {
      case .configuration(let key, let file, let reason): "\(file): '\(key)' \(reason)"
      default: "\(error)"
      }
    self.init(.values, text, remedy: "Mend it, or save the adapter again with the program that made it.")
  }
}
