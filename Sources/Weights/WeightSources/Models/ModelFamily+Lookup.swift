public import Families

extension ModelFamily {
  /// - Parameter architecture: As Hugging Face spells it.
  public init(architecture: String, origin: String) throws(WeightSourceError) {
    guard let family = Self.all.first(where: { $0.architectures.contains(architecture) }) else {
      throw WeightSourceError(origin, .unsupportedFamily(name: architecture, supported: Self.supportedArchitectures))
    }
    self = family
  }
  /// - Parameter checkpointArchitecture: `architecture` of a TensorRT-LLM configuration.
  public init(checkpointArchitecture: String, origin: String) throws(WeightSourceError) {
    if let family = ModelFamily(checkpointArchitecture: checkpointArchitecture) { self = family } else { try self.init(architecture: checkpointArchitecture, origin: origin) }
  }
  /// - Parameters:
  ///   - ggufArchitecture: `general.architecture`.
  ///   - hasExperts: Where families share a name, one with experts or one without is meant.
  public init(ggufArchitecture: String, hasExperts: Bool, origin: String) throws(WeightSourceError) {
    let families = Self.all.filter { $0.ggufArchitectures.contains(ggufArchitecture) }
    guard let family = families.first(where: { ($0.decoder.experts != nil) == hasExperts }) ?? families.first else {
      throw WeightSourceError(
        origin, .unsupportedFamily(name: ggufArchitecture, supported: Self.all.flatMap(\.ggufArchitectures).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }))
    }
    self = family
  }
}
