/// Who may change weights while the server runs, and from where they may come.
public struct Administration: Sendable {
  /// What callers of `/admin/v1/` must send as bearer token, whatever the API key is.
  public var key: Secret
  /// The directory below which every source of weights lies.
  public var weightsRoot: WeightsRoot
  /// What carries the requests out.
  public var weights: any WeightAdministration

  /// - Parameter weightsRoot: Sources that lie elsewhere are refused.
  public init(key: Secret, weightsRoot: WeightsRoot, weights: any WeightAdministration) {
    self.key = key
    self.weightsRoot = weightsRoot
    self.weights = weights
  }

  /// Where every path of it begins.
  static let prefix = "/admin/v1/"
}
