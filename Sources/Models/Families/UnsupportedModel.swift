/// A model that cannot be built, and why.
public enum UnsupportedModel: Error, Equatable, Sendable, CustomStringConvertible {
  case architecture(String, supported: [String])
  case setting(String, String)
  /// A setting whose value says nothing that could be meant: what it is, and what to do.
  case unclear(String, String, String)
  case indivisible(String, Int, by: Int)
  case quantization(String)
  case rank(Int, worldSize: Int)

  public var description: String {
    switch self {
    case .architecture(let name, let supported):
      "architecture \"\(name)\" is not supported yet; supported: \(supported.joined(separator: ", "))"
    case .setting(let name, let value): "the configuration sets \(name) to \(value), which is not supported yet"
    case .unclear(let name, let reason, let remedy): "'\(name)' of the configuration \(reason): \(remedy)"
    case .indivisible(let what, let count, let size):
      "\(what) (\(count)) cannot be divided over a tensor-parallel size of \(size); convert with another --tp_size"
    case .quantization(let name):
      "quantisation \(name) is not supported yet; convert the model to float16, bfloat16 or float32"
    case .rank(let rank, let size): "rank \(rank) is outside the mapping's world size \(size)"
    }
  }
}
