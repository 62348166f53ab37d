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
  /// - Parameter ggufArchitecture: `general.architecture`.
  public init(ggufArchitecture: String, origin: String) throws(WeightSourceError) {
    guard let family = Self.all.first(where: { $0.ggufArchitectures.contains(ggufArchitecture) }) else {
      throw WeightSourceError(
        origin, .unsupportedFamily(name: ggufArchitecture, supported: Self.all.flatMap(\.ggufArchitectures)))
    }
    self = family
  }
}
