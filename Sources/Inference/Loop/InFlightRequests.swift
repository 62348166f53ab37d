/// What becomes of requests that are being answered when weights change.
public enum InFlightRequests: Sendable, Hashable {
  /// They end with the old weights; new ones wait meanwhile.
  case finish
  /// They go on with the new weights, with the keys and values that the old ones left in the cache.
  case switchKeepingCache
  /// They go on with the new weights, which first compute anew all that was said.
  case switchRecomputing
  /// They end with ``WeightsReplaced``.
  case abort
}

/// Why a request ended that was being answered when weights changed.
public struct WeightsReplaced: Error, Sendable, Hashable, CustomStringConvertible {
  /// The weights that took the old ones' place, see ``LiveWeights/name(of:)``.
  public var version: String
  /// - Parameter version: The name of the weights that are used from now on.
  public init(version: String) { self.version = version }
  public var description: String {
    "The weights were replaced by \(version) while this was being answered, and running requests were to end. Ask again."
  }
}
