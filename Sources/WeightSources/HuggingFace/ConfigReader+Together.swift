extension ConfigReader {
  /// Looks at several keys, so that all that cannot be used are told together.
  ///
  /// One alone is left to whoever reads it.
  func checkTogether(required: [String], positive: [String]) throws(WeightSourceError) {
    var problems: [WeightSourceError.Problem] = []
    for (keys, isRequired) in [(required, true), (positive, false)] {
      for key in keys {
        do throws(WeightSourceError) {
          if isRequired { _ = try self.required(key) } else { _ = try self.positive(key) }
        } catch { problems += error.problems }
      }
    }
    guard problems.count < 2 else { throw WeightSourceError(path, problems) }
  }
}

extension GGUFMetadata {
  /// Looks at the sizes of a model, so that all that cannot be used are told together; one alone is left to its reader.
  func checkSizes() throws(WeightSourceError) {
    guard let architecture = values["general.architecture"]?.string else { return }
    var problems: [WeightSourceError.Problem] = []
    for name in ["embedding_length", "attention.head_count", "feed_forward_length", "block_count"] {
      let key = "\(architecture).\(name)"
      let reason: String? =
        switch values[key] {
        case nil: "is missing"
        case .integer(let value)? where (1...1 << 30).contains(value): nil
        case let value?: "is \(value.int.map(String.init) ?? value.kind), expected a positive number"
        }
      if let reason { problems.append(.configuration(key: key, file: "metadata", reason: reason)) }
    }
    guard problems.count < 2 else { throw WeightSourceError(path, problems) }
  }
}
