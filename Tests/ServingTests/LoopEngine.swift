import Engines
import Execution
import Foundation
import Inference
import JSON
import Serving
import Synchronization
import Tokenizers

/// A model whose likeliest next token depends on the last one alone: enough to tell right answers from wrong ones.
final class WalkingExecutor: Executor {
  let limits: ExecutorLimits
  /// Before each step.
  private let delay: Duration
  let steps = Mutex(0)
  private let begun = Mutex<Batch?>(nil)

  init(vocabularySize: Int, maximumSequenceLength: Int = 4096, delay: Duration = .zero) {
    limits = ExecutorLimits(
      vocabularySize: vocabularySize, maximumSequenceLength: maximumSequenceLength, maximumBatchRows: 4096,
      maximumSequences: 4, cacheBlockCount: 1024)
    self.delay = delay
  }

  static func next(_ token: Int32, vocabularySize: Int) -> Int32 { Int32((Int(token) * 7 + 3) % vocabularySize) }

  static func logits(_ last: Int32, vocabularySize: Int) -> [Float] {
    var values = (0..<vocabularySize).map { Float(($0 * 31 + Int(last)) % 101) / 20 }
    values[Int(next(last, vocabularySize: vocabularySize))] = 8
    return values
  }

  func bytesRead(_ batch: Batch) -> Int? { 1000 }

  func submit(_ batch: Batch) throws -> StepID {
    steps.withLock { $0 += 1 }
    if delay > .zero { Thread.sleep(forTimeInterval: delay / .seconds(1)) }
    begun.withLock { $0 = batch }
    return StepID(0)
  }

  func finish(_ step: StepID, _ answer: (_ sequence: Int, _ answer: RowAnswer) -> Void) throws {
    guard let batch = begun.withLock({ $0 }) else { return }
    for (index, slice) in batch.sequences.enumerated() {
      for row in slice.rows.suffix(slice.logitRows) {
        var values = Self.logits(batch.tokens[row], vocabularySize: limits.vocabularySize)
        unsafe values.withUnsafeMutableBufferPointer { answer(index, .all(unsafe Logits($0))) }
      }
    }
  }
}

/// A real loop and a real tokenizer around a model that walks.
struct LoopEngine {
  let executor: WalkingExecutor
  let loop: EngineLoop
  let tokenizer: Tokenizer
  let engine: LoopCompletionEngine

  /// - Parameter end: The end-of-sequence token; nil for a model without.
  init(
    end: Int32? = nil, maximumSequenceLength: Int = 4096, maximumQueued: Int = 256, delay: Duration = .zero, memoryReadRate: Double? = nil,
    failure: @Sendable @escaping () -> String? = { nil }
  ) throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "TokenizersTests/Expected/tokenizer-gpt2.json")
    let template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    let configuration: JSONValue = ["chat_template": .string(template)]
    var contents = [
      "tokenizer.json": Array(try Data(contentsOf: file)),
      "tokenizer_config.json": Array(configuration.serialized().utf8),
    ]
    if let end {
      contents["generation_config.json"] = Array(JSONValue.object(["eos_token_id": .int(Int(end))]).serialized().utf8)
    }
    tokenizer = try Tokenizer(files: TokenizerFiles(contents: contents))
    executor = WalkingExecutor(
      vocabularySize: tokenizer.vocabularySize, maximumSequenceLength: maximumSequenceLength, delay: delay)
    loop = try EngineLoop(executor: executor, options: .init(maximumQueuedRequests: maximumQueued))
    engine = LoopCompletionEngine(
      loop: loop, tokenizer: tokenizer, versions: WeightVersionLog("fp_walk"), memoryReadRate: memoryReadRate,
      failure: failure)
  }

  /// The tokens that follow `prompt`.
  func walk(from prompt: [Int32], count: Int) -> [Int32] {
    var tokens: [Int32] = []
    var last = prompt.last ?? 0
    for _ in 0..<count {
      last = WalkingExecutor.next(last, vocabularySize: tokenizer.vocabularySize)
      tokens.append(last)
    }
    return tokens
  }
}
