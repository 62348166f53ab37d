/// A model that cannot be built, and why.
public enum UnsupportedModel: Error, Equatable, Sendable, CustomStringConvertible {
  /// `architecture` of a configuration, and those that there are.
  case architecture(String, supported: [String])
  /// A field of the configuration, and its value.
  case setting(String, String)
  /// A setting whose value says nothing that could be meant: what it is, and what to do.
  case unclear(String, String, String)
  /// What cannot be divided, how many there are, and the tensor-parallel size.
  case indivisible(String, Int, by: Int)
  /// A kind of operation that a target has no kernels for.
  case operation(String, target: String)
  /// Upstream's name of an algorithm, or that of a scheme and for what it lacks.
  case quantization(String)
  /// A rank below 0, or not below the world size.
  case rank(Int, worldSize: Int)

  public var description: String {
    switch self {
    case .architecture(let name, let supported):
      "architecture \"\(name)\" is not supported yet; supported: \(supported.joined(separator: ", "))"
    case .setting(let name, let value): "the configuration sets \(name) to \(value), which is not supported yet"
    case .unclear(let name, let reason, let remedy): "'\(name)' of the configuration \(reason): \(remedy)"
    case .indivisible(let what, let count, let size):
      "\(what) (\(count)) cannot be divided over a tensor-parallel size of \(size); convert with another --tp_size"
    case .operation(let name, let target):
      "the model needs the operation \"\(name)\", for which --target \(target) has no kernels yet: build for cpu"
    case .quantization(let name):
      "quantisation \(name) is not supported yet; convert the model to float16, bfloat16 or float32"
    case .rank(let rank, let size): "rank \(rank) is outside the mapping's world size \(size)"
    }
  }
}
