import Backends
import Engines
import Execution
import Foundation
import SystemPackage

/// How an engine scores tokens that it is given, whatever it would choose itself.
struct ForcedScores {
  /// What an engine says of a token at its place.
  struct Position {
    /// Natural logarithm of the token's probability.
    let logProbability: Double
    /// The token's logit less the largest of the others.
    let lead: Double
  }

  private let engine: any OpenedEngine

  init(_ path: FilePath) throws {
    var options = ExecutorOptions()
    options.maximumSequences = 1
    engine = try BackendRegistry.all().open(try EngineDirectory(path), options: options)
  }

  /// Of each token after the first, those of the prompt computed as prompts are, the others as generated ones.
  func positions(prompt: [Int], answer: [Int]) throws -> [Position] {
    let tokens = (prompt + answer).map { Int32($0) }
    let limits = engine.limits
    let blocks = (0..<Int32((tokens.count + limits.cacheBlockTokens - 1) / limits.cacheBlockTokens)).map { $0 }
    var found: [Position] = []
    while found.count < tokens.count - 1 {
      let first = found.count
      let isPrompt = first < prompt.count
      let end = min(first + limits.maximumLogitRows, isPrompt ? prompt.count : tokens.count, tokens.count - 1)
      let slice = SequenceSlice(
        rows: 0..<end - first, firstPosition: first, blockTable: blocks, phase: isPrompt ? .prefill : .decode, logitRows: end - first)
      unsafe try engine.step(Batch(tokens: Array(tokens[first..<end]), sequences: [slice])) { _, logits in
        found.append(unsafe Self.position(of: Int(tokens[found.count + 1]), in: logits))
      }
    }
    return found
  }

  private static func position(of token: Int, in logits: UnsafeMutableBufferPointer<Float>) -> Position {
    let own = unsafe Double(logits[token])
    var other = -Double.infinity
    for id in logits.indices where id != token { unsafe other = max(other, Double(logits[id])) }
    let top = max(own, other)
    var sum = 0.0
    for id in logits.indices { unsafe sum += exp(Double(logits[id]) - top) }
    return Position(logProbability: own - top - log(sum), lead: own - other)
  }
}
