import JSON

/// How a model's author wants tokens chosen, as `generation_config.json` says; nil where it says nothing.
///
/// What is missing stays the requests' own default, as in vLLM; transformers would put 50 for a missing `top_k`.
public struct SamplingDefaults: Sendable, Equatable, CustomStringConvertible {
  /// 0, the likeliest token, where `do_sample` is false.
  public var temperature: Double?
  /// Tokens that are left to choose from, the likeliest; 0: all.
  public var topK: Int?
  /// The probability that the tokens left reach together, 0 to 1.
  public var topP: Double?
  /// A token's least probability, as a share of the likeliest one's: 0 to 1.
  public var minP: Double?
  /// 0.01 to 100; 1 changes nothing.
  public var repetitionPenalty: Double?

  /// Keys that are read here. All but the last do nothing unless `do_sample` is true, as in transformers.
  static let keys = ["do_sample", "temperature", "top_k", "top_p", "min_p", "repetition_penalty"]

  /// The author says nothing.
  public init() {}

  /// - Throws: For a value with which no token can be chosen.
  public init(_ files: TokenizerFiles) throws(TokenizerError) {
    let file = "generation_config.json"
    guard let json = files.generation.json else { return }
    func number(_ key: String, _ range: ClosedRange<Double>) throws(TokenizerError) -> Double? {
      guard let value = json[key], !value.isNull else { return nil }
      guard let number = value.double, range.contains(number) else {
        throw TokenizerError(file: file, problem: .invalidMember(key, expected: "a number from \(range.lowerBound) to \(range.upperBound)"))
      }
      return number
    }
    repetitionPenalty = try number("repetition_penalty", 0.01...100)
    guard let samples = json["do_sample"]?.bool else { return }
    guard samples else {
      temperature = 0
      return
    }
    temperature = try number("temperature", 0...100) ?? 1
    topK = try number("top_k", 0...1e9).map { (value) throws(TokenizerError) in
      guard let whole = Int(exactly: value) else {
        throw TokenizerError(file: file, problem: .invalidMember("top_k", expected: "a whole number"))
      }
      return whole
    }
    topP = try number("top_p", 0...1)
    minP = try number("min_p", 0...1)
  }

  /// `temperature 0.6, top_p 0.95`; nothing where nothing is said.
  public var description: String {
    let all: [(String, Double?)] = [
      ("temperature", temperature), ("top_k", topK.map(Double.init)), ("top_p", topP), ("min_p", minP), ("repetition_penalty", repetitionPenalty),
    ]
    return all.compactMap { name, value in
      value.map { "\(name) \($0 == $0.rounded() ? String(Int($0)) : "\($0)")" }
    }.joined(separator: ", ")
  }
}
