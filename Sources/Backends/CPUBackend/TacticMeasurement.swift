import CPUKernels
import Engines
import Schemes
import Tensors

/// Times every kernel variant on a weight of one shape, made of small numbers, and names the fastest.
struct TacticMeasurement {
  let isa: dk_isa
  let threadCount: Int
  let problem: KernelProblem

  /// Rows of a typical prefill chunk.
  private static let prefillRows = 128
  /// Decode reads weights from memory: copies that together are larger than a core's caches keep it honest.
  private static let decodeByteCount = 48 << 20
  private static let repeats = 3

  func run() -> KernelTactics {
    let type = dk_type(problem.scheme)
    // A huge output layer behaves like a smaller one of many panels.
    let outputs = min(problem.outputs, 4096)
    let inputs = min(problem.inputs, 1 << 15)
    let panels = dk_panel_count(Int64(outputs))
    let weightBytes = Int(dk_panel_bytes(type, Int64(inputs)) * panels)
    let copies = max(1, Self.decodeByteCount / max(1, weightBytes))
    let weights = AlignedBuffer(byteCount: weightBytes * copies)
    let rows = Self.prefillRows
    let stride = Int(dk_rounded_stride(Int64(inputs)))
    let x = AlignedBuffer(floats: rows * max(inputs, stride))
    let out = AlignedBuffer(floats: rows * outputs)
    let scratchBytes = Int(dk_prefill_scratch_bytes(type, Int64(inputs)))
    let scratch = AlignedBuffer(byteCount: max(64, scratchBytes * threadCount))
    // Memory that was never written is one zero page over and over, which no cache misses; subnormals would be slow.
    unsafe weights.base.initializeMemory(as: UInt8.self, repeating: 0x3C, count: weights.byteCount)
    unsafe x.base.initializeMemory(as: UInt8.self, repeating: 0x3C, count: x.byteCount)
    let team = ThreadTeam(threadCount: threadCount)
    let isa = isa

    func share(_ thread: Int, _ count: Int) -> (Int64, Int64) {
      (panels * Int64(thread) / Int64(count), panels * Int64(thread + 1) / Int64(count))
    }
    func linear(_ copy: Int) -> dk_linear {
      unsafe dk_linear(
        panels: UnsafeRawPointer(weights.base + copy * weightBytes), bias: nil, n: Int64(outputs), k: Int64(inputs),
        type: type, bias_type: DK_F32)
    }
    let decode = fastest(TacticNames.decode(isa)) { tactic in
      team.run { thread, count in
        let (first, end) = share(thread, count)
        for copy in 0..<copies {
          var weight = unsafe linear(copy)
          unsafe dk_linear_decode(isa, tactic, &weight, x.floats, Int64(inputs), out.floats, Int64(outputs), 1, first, end)
        }
      }
    }
    let prefill = fastest(TacticNames.prefill(isa, type)) { tactic in
      team.run { thread, count in
        let (first, end) = share(thread, count)
        var weight = unsafe linear(0)
        let xStride = type.takesRoundedInputs ? stride : inputs
        unsafe dk_linear_prefill(
          isa, tactic, &weight, x.base, Int64(xStride), out.floats, Int64(outputs), 0, Int64(rows), first, end,
          scratch.base + thread * scratchBytes)
      }
    }
    return KernelTactics(problem, decode: decode, prefill: prefill)
  }

  /// The name with the least minimum over interleaved runs; the first of equals.
  private func fastest(_ names: [String], _ run: (Int32) -> Void) -> String {
    guard names.count > 1 else { return names.first ?? "" }
    let clock = ContinuousClock()
    var best = [Duration](repeating: .seconds(1 << 20), count: names.count)
    for round in 0...Self.repeats {
      for index in names.indices {
        let time = clock.measure { run(Int32(index)) }
        if round > 0 { best[index] = min(best[index], time) }  // the first round warms up
      }
    }
    return names.indices.min { best[$0] < best[$1] }.map { names[$0] } ?? ""
  }
}
