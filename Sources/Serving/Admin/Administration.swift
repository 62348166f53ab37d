/// Who may change weights while the server runs, and from where they may come.
public struct Administration: Sendable {
  /// What callers of `/admin/v1/` must send as bearer token, whatever the API key is.
  public var key: Secret
  public var weightsRoot: WeightsRoot
  public var weights: any WeightAdministration

  public init(key: Secret, weightsRoot: WeightsRoot, weights: any WeightAdministration) {
    self.key = key
    self.weightsRoot = weightsRoot
    self.weights = weights
  }

  /// Where every path of it begins.
  static let prefix = "/admin/v1/"
}
