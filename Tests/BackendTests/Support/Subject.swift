import CPUBackend
import CUDABackend
import EngineFixtures
import Engines
import Execution
import RecordingBackend
import SystemPackage
import TestSupport
import Testing

/// A back end that has to pass everything here, with a model.
struct Subject: CustomTestStringConvertible, Sendable {
  let backend: any Backend
  let model: SmallModel
  var testDescription: String { "\(backend.machine), \(model.testDescription)" }

  private static let backends: [any Backend] = [CPU(instructionSet: "portable"), CPU(), Recording()]
  private static let models = [
    SmallModel(), SmallModel(type: .float32, biases: true), SmallModel(tensorParallel: 2), SmallModel(type: .float16, pipelineParallel: 2),
  ]
  /// On the driver in host memory: in bfloat16, on one rank.
  private static let cuda = [
    SmallModel(), SmallModel(hidden: 50, heads: 5, keyValueHeads: 1, headSize: 10, intermediate: 33, layers: 1, tied: false, biases: true),
  ].map { Subject(backend: CUDA(kernels: KernelCache(nil)), model: $0) }
  static let all = backends.flatMap { backend in models.map { Subject(backend: backend, model: $0) } } + cuda

  /// Built with the back end's own plans, opened by what a registry of all of them finds.
  func open(in life: Lifecycle, seed: UInt64 = 5, _ name: String = "engine") async throws -> any OpenedEngine {
    var life = life
    life.target = backend.planTarget(threadCount: 2)
    try await life.build(try model.write(life.directory, "\(name)-checkpoint", seed: seed), name, scope: .all)
    var options = ExecutorOptions()
    options.threadCount = 2
    options.maximumSequences = 4
    options.maximumBatchRows = 64
    return try registry.open(try EngineDirectory(life.directory(name)), options: options)
  }
  /// This one is not the first.
  var registry: BackendRegistry { BackendRegistry(backend.target == Recording.name ? [CPU(), backend] : [Recording(), backend]) }
}

/// Steps with blocks handed out in an odd order.
final class Driver {
  let engine: any OpenedEngine
  private var free: [Int32]
  init(_ engine: any OpenedEngine) {
    self.engine = engine
    let count = Int32(engine.limits.cacheBlockCount)
    free = (0..<count).map { ($0 &* 7 + 3) % count }
    if Set(free).count < free.count { free = (0..<count).reversed() }
  }
  func blocks(_ tokens: Int) -> [Int32] { (0..<(tokens + 15) / 16).map { _ in free.removeLast() } }

  typealias Part = (tokens: [Int32], first: Int, blocks: [Int32], phase: SequenceSlice.Phase)
  static func batch(_ parts: [Part], wanted: LogitsWanted = .all) -> Batch {
    var batch = Batch(tokens: [], sequences: [])
    for part in parts {
      let start = batch.tokens.count
      batch.tokens += part.tokens
      batch.sequences.append(
        SequenceSlice(
          rows: start..<batch.tokens.count, firstPosition: part.first, blockTable: part.blocks, phase: part.phase, logitRows: 1, wanted: wanted))
    }
    return batch
  }
  /// The logits after each part's last token.
  func step(_ parts: Part...) throws -> [[Float]] {
    var result = [[Float]](repeating: [], count: parts.count)
    unsafe try engine.step(Self.batch(parts)) { index, logits in unsafe result[index] = Array(logits) }
    return result
  }
  func answer(_ part: Part, _ wanted: LogitsWanted) throws -> (token: Int32, best: [TokenLogProbability], logits: [Float]) {
    var found: (token: Int32, best: [TokenLogProbability], logits: [Float]) = (-1, [], [])
    var count = 0
    try engine.finish(try engine.submit(Self.batch([part], wanted: wanted))) { _, answer in
      count += 1
      #expect(answer.kind.suffices(for: wanted))
      switch answer {
      case .token(let id): found.token = id
      case .best(let tokens): (found.token, found.best) = (tokens[0].id, tokens)
      case .all(let logits): found.logits = unsafe Array(logits.buffer)
      }
    }
    #expect(count == 1)
    return found
  }
}
