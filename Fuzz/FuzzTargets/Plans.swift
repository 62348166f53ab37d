import CFuzzer
@testable import CPUBackend
import CPUKernels
import Checkpoints
@testable import Engines
import Execution
import Files
import JSON
import Networks
import Safetensors
import SystemPackage
import Tensors

extension FuzzTarget {
  /// Plans of an engine. The input is not a plan but a list of changes to one that the planner made (see ``PlanScript``),
  /// since two or more fields must change together to get past the check. What is accepted is opened from files and
  /// computes: nothing outside its buffers is touched, and nobody waits for ever.
  static let plan = FuzzTarget(name: "plan") { input in
    var script = PlanScript(input)
    var (config, plans) = script.seed()
    script.change(&plans)
    var texts: [String] = []
    for index in plans.indices {
      let json = script.changeLeaves(plans[index].json)
      guard let checked = attempt({ try Plan(json: json) }) else { return }
      plans[index] = checked
      texts.append(json.serialized())
    }
    guard PlanScript.isSmall(plans) else { return explain("accepted, but too large to be run here") }
    let directory = Place.directory("plan")
    if case .object(var members) = config {
      members["mapping"] = [
        "world_size": .int(plans.count), "tp_size": .int(plans[0].tensorParallel), "pp_size": .int(plans[0].pipelineParallel),
      ]
      config = .object(members)
    }
    Place.write(Array(JSONValue.object(["version": "1", "pretrained_config": config]).serialized().utf8), directory + "/config.json")
    for (rank, plan) in plans.enumerated() {
      guard
        let header = try? SafetensorsHeader(
          describing: EngineFile.layout(plan: plan) { _ in true }, metadata: EngineFile.metadata(planText: texts[rank]), dataAlignment: 4096)
      else { return }
      Place.write(header.serialized() + SafetensorsBytes.pattern.prefix(header.dataByteCount), directory + "/rank\(rank).engine")
    }
    var options = ExecutorOptions()
    options.threadCount = plans.count
    let set: InstructionSet? = script.usesPortableKernels ? .portable : nil
    options.maximumBatchRows = 24
    options.maximumSequences = 3
    options.maximumSequenceLength = 64
    options.cacheByteCount = 1 << 20
    guard let engine = attempt({ try CPUEngine(EngineDirectory(FilePath(directory)), options: options, instructionSet: set) }) else { return }
    step(engine, plans)
  }

  /// A prefill and a decode step, with weights in memory of which every byte beyond their end is watched.
  private static func step(_ engine: CPUEngine, _ plans: [Plan]) {
    var watched: [(start: UnsafeRawPointer, count: Int)] = unsafe []
    defer { unsafe watched.forEach { unsafe fuzz_unpoison($0.start, $0.count) } }
    let made = plans.map { plan in
      plan.weights.mapValues { weight in
        guard let memory = try? WeightMemory(byteCount: weight.stored.byteCount) else { preconditionFailure("no memory") }
        unsafe SafetensorsBytes.pattern.withUnsafeBytes { unsafe memory.write(UnsafeRawBufferPointer(rebasing: $0.prefix(memory.byteCount)), at: 0) }
        let end = (memory.byteCount + 4095) / 4096 * 4096
        unsafe watched.append((memory.baseAddress + memory.byteCount, end - memory.byteCount))
        return memory
      }
    }
    engine.activate(engine.makeVersion(made.map { Dictionary(uniqueKeysWithValues: $0.map { ($0.key, $0.value) }) }))
    unsafe watched.forEach { unsafe fuzz_poison($0.start, $0.count) }
    var sum: Float = 0
    func run(_ slices: [(rows: Int, first: Int, firstBlock: Int, phase: SequenceSlice.Phase)]) {
      var next = 0
      var sequences: [SequenceSlice] = []
      for slice in slices {
        let blocks = (slice.first + slice.rows + engine.limits.cacheBlockTokens - 1) / engine.limits.cacheBlockTokens
        sequences.append(
          SequenceSlice(
            rows: next..<next + slice.rows, firstPosition: slice.first,
            // From the end of the cache, where what lies beyond is noticed.
            blockTable: (0..<blocks).map { Int32(engine.limits.cacheBlockCount - 1 - (slice.firstBlock + $0) % engine.limits.cacheBlockCount) }, phase: slice.phase,
            logitRows: slice.phase == .prefill ? min(2, slice.rows) : 1))
        next += slice.rows
      }
      let batch = Batch(tokens: (0..<next).map { Int32($0 % engine.limits.vocabularySize) }, sequences: sequences)
      _ = unsafe attempt { try engine.step(batch) { _, logits in for index in logits.indices { unsafe sum += logits[index] } } }
    }
    let rows = min(engine.limits.maximumBatchRows, engine.limits.maximumSequenceLength, 20)
    run([(rows, 0, 0, .prefill)])
    if rows < engine.limits.maximumSequenceLength { run([(1, rows, 0, .decode)]) }
    if engine.limits.maximumSequences >= 2, engine.limits.maximumBatchRows >= 4, engine.limits.maximumSequenceLength >= 3 {
      run([(3, 0, 2, .prefill), (1, min(rows, engine.limits.maximumSequenceLength - 1), 0, .decode)])
    }
    withExtendedLifetime((made, sum)) {}
  }
}
