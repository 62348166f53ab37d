public import Engines

/// One version of a whole engine's weights, ready to be stepped with. Immutable; belongs to the store that made it.
public protocol WeightVersion: AnyObject, Sendable {}

/// Versions of an engine's weights beside each other, one of which the steps are computed with.
public protocol WeightStore: AnyObject, Sendable {
  /// What the engine was opened with: the weights of its files.
  var fileWeights: any WeightVersion { get }

  /// A version in which some weights of each rank are replaced; the memory is kept alive by it.
  ///
  /// May be called beside a running step: nothing of it is in use before ``activate(_:)``.
  /// - Parameter made: For each rank, weights of this engine's plan by name, as the plan stores them, in host memory or of ``weightDevice``.
  /// - Throws: `LiveWeightsError/outOfDeviceMemory(wanted:available:deletable:)` where a device has not the memory, and anything else.
  func makeVersion(_ made: [[String: WeightMemory]]) throws -> any WeightVersion

  /// Bytes that more versions may take of a device's memory; nil where a version is the host memory that it was made in.
  var freeWeightByteCount: Int? { get }

  /// What makes weights where this store keeps them; nil where the processor makes all of them.
  var weightDevice: (any WeightDevice)? { get }

  /// Does beforehand what the first step with a version would have to. Beside a running step; ``activate(_:)`` needs it not.
  func makeReady(_ version: any WeightVersion) throws

  /// Computes with `version` from the next step on: all ranks or none.
  ///
  /// Not while a step is unfinished. What the key-value cache holds stays.
  /// - Parameter version: Made by this store, or its ``fileWeights``.
  func activate(_ version: any WeightVersion)
}

extension WeightStore {
  /// nil, where a store does not say otherwise: a version is the host memory that it was made in.
  public var freeWeightByteCount: Int? { nil }
  /// nil, where a store does not say otherwise.
  public var weightDevice: (any WeightDevice)? { nil }
  /// Nothing, where a store does not say otherwise.
  public func makeReady(_ version: any WeightVersion) throws {}
}
