/// Settings of a model that cannot be used, gathered so that one error names all of them, with what is wrong with its tensors.
struct SettingFailures: Sendable {
  private(set) var all: [any Error] = []

  /// Reads one setting, or several that hang together.
  ///
  /// - Parameter fallback: In the place of what cannot be used, so that reading can go on; no model is made with it.
  mutating func read<T>(_ fallback: T, _ read: () throws -> T) throws -> T {
    do { return try read() } catch {
      try add(error)
      return fallback
    }
  }
  mutating func check(_ check: () throws -> Void) throws { try read((), check) }

  /// - Throws: An error that is about no setting, such as a file that cannot be read.
  mutating func add(_ error: any Error) throws {
    guard let problems = Self.problems(of: error) else { throw error }
    // A key that several ask for is reported once.
    guard !problems.allSatisfy(self.problems.contains) else { return }
    all.append(error)
  }

  var problems: [WeightSourceError.Problem] { all.flatMap { Self.problems(of: $0) ?? [] } }

  /// nil where nothing failed. One failure alone is thrown as it was found.
  ///
  /// - Parameter others: What else is wrong with the model.
  func error(at path: String, and others: [WeightSourceError.Problem] = []) -> (any Error)? {
    if all.count == 1, others.isEmpty { return all[0] }
    let problems = problems + others
    return problems.isEmpty ? nil : WeightSourceError(path, problems)
  }

  private static func problems(of error: any Error) -> [WeightSourceError.Problem]? {
    if let error = error as? WeightSourceError { return error.problems }
    if let error = error as? GGUFError, case .metadata(let key, let reason) = error.problem { return [.configuration(key: key, file: "metadata", reason: reason)] }
    return nil
  }
}
