import JSON
public import Schemes

extension Quantization {
  /// How covered weights are kept, where it is a scheme that engines have; nil: as plain numbers, or unsupported.
  public var scheme: NumberScheme? { (algorithm?.rawValue).flatMap(NumberScheme.coded(named:)) }

  /// Whether weights of this quantisation, plain floats, are encoded on their way into an engine of another.
  public func isEncoded(into other: Quantization) -> Bool { algorithm == nil && other.scheme != nil }

  /// Whether weight-only quantisation reaches a tensor: the linear layers of attention and MLP, but for excluded modules.
  public func covers(_ tensor: String) -> Bool {
    let covered = ["qkv.weight", "dense.weight", "fc.weight", "proj.weight", "gate.weight"].contains { tensor.hasSuffix($0) }
    guard covered, tensor.hasSuffix(".weight") else { return false }
    let module = String(tensor.dropLast(".weight".count))
    return !(exclusions ?? []).contains { $0.matches(module) }
  }

  /// What a checkpoint of ours says of its codes in ``ModelNames/section``: they lie in rows, `[N, K]`. Upstream's int8
  /// weights lie in an order that depends on the GPU model they were converted for, which their files do not name.
  public static let orderKey = "codes"
  /// The one order of codes that has a name: `[N, K]`, row-major.
  public static let rowOrder = "rows"
}

extension CheckpointConfig {
  /// Whether whole numbers in the files are codes in the order of rows.
  public var hasCodesInRows: Bool { json[ModelNames.section]?[Quantization.orderKey]?.string == Quantization.rowOrder }
}
