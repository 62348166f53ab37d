import CUDADriver
import CUDAKernels
import Engines
import Networks

/// Launches the kernels of a plan's operations, in order, for all rows of a step.
final class StepLauncher {
  private let plan: Plan
  private let device: Device
  let stream: Stream
  private let kernels: Kernels
  let buffers: StepBuffers
  /// Values that are not in the plan's buffers.
  private let gated: Set<ValueID>

  init(_ plan: Plan, _ device: Device, _ stream: Stream, _ kernels: Kernels, _ buffers: StepBuffers) {
    (self.plan, self.device, self.stream, self.kernels, self.buffers) = (plan, device, stream, kernels, buffers)
    gated = Set(Gating.all(in: plan).values.map(\.output))
  }

  /// - Parameter splits: For how many splits of attention blocks are launched at least: those of a recorded step must do for longer
  ///   sequences than it was recorded with.
  func launch(_ steps: [ResolvedStep], _ inputs: StepInputs, splits: Int = 0) throws(CUDAError) {
    var isDone = false  // by the one before
    for step in steps {
      if !isDone { isDone = try launch(step, inputs, splits) } else { isDone = false }
    }
  }

  /// Whether a product of so many rows and the sum behind it are one kernel, and the norm before it.
  private func isSummed(_ rows: Int) -> Bool { rows <= RowProductShape.rows && device.hasRunCopies }
  private func isNormed(_ rows: Int) -> Bool { rows == 1 && device.hasRunCopies }

  private func address(_ value: ValueID) -> UInt64 {
    gated.contains(value) ? buffers.gated.address : buffers.slots[plan.slots.slot[value.index]].address
  }
  private func width(_ value: ValueID) -> Int { plan.values[value.index].width }

  /// - Returns: Whether the next operation was done, too.
  private func launch(_ step: ResolvedStep, _ inputs: StepInputs, _ splits: Int) throws(CUDAError) -> Bool {
    let input = { (offset: Int) in self.buffers.inputs.address + UInt64(offset * 4) }
    func rows(_ value: ValueID) -> Int { plan.values[value.index].rows == .tokens ? inputs.rowCount : inputs.selectedCount }
    if let output = step.operation.uses.writes.first, rows(output) == 0 { return false }
    func plain(_ value: ValueID) -> UInt64 { step.packsOutput ? 0 : address(value) }
    func packed(_ value: ValueID) -> UInt64 { step.packsOutput ? address(value) : 0 }
    switch step.operation {
    case .embed(let body):
      let output = body.output
      let argument = dk_embed_arguments(
        tokens: input(inputs.offsets.tokens), table: step.weight, output: address(output), width: Int32(width(output)),
        first_token: Int32(clamping: body.firstToken), table_rows: Int32(step.tableRows), is_panel: step.isPanel ? 1 : 0, scale: body.scale)
      try stream.launch(kernels.embed, grid: (inputs.rowCount, 1, 1), threads: 256, argument)
    case .norm(let body):
      if step.isNormedInRow && isNormed(rows(body.output)) { break }
      let delta = body.residual == nil || step.isSummedInRow && isSummed(rows(body.output)) ? 0 : address(body.input)
      try norm(step, body.residual ?? body.input, delta: delta, body.epsilon, plain(body.output), packed(body.output), rows(body.output))
    case .linear(let body): return try linear(step, body.input, body.output, rows(body.output))
    case .attention(let attention): try attend(step, attention, inputs, splits)
    case .gated(let body):
      let output = body.output
      let argument = dk_gated_arguments(
        input: address(body.input), output: plain(output), packed: packed(output), width: Int32(width(output)),
        activation: body.activation.kernelNumber)
      try stream.launch(kernels.gated, grid: (rows(output), (width(output) + 1023) / 1024, 1), threads: 256, argument)
    case .add(let body):
      if step.isSummedInRow && isSummed(rows(body.target)) { break }
      let count = rows(body.target) * width(body.target)
      let argument = dk_add_arguments(target: address(body.target), value: address(body.value), count: UInt64(count))
      try stream.launch(kernels.add, grid: (min(4096, (count + 255) / 256), 1, 1), threads: 256, argument)
    case .select(let body):
      let argument = dk_select_arguments(
        input: address(body.input), rows: input(inputs.offsets.selected), output: address(body.output), width: Int32(width(body.output)))
      try stream.launch(kernels.select, grid: (inputs.selectedCount, 1, 1), threads: 256, argument)
    case .activatedProduct, .unary, .routing, .experts, .allReduce, .allGather, .send, .receive:
      preconditionFailure("\(step.operation): refused when the engine was opened")
    }
    return false
  }

  private func norm(
    _ step: ResolvedStep, _ residual: ValueID, delta: UInt64, _ epsilon: Float, _ output: UInt64, _ packed: UInt64, _ rows: Int
  ) throws(CUDAError) {
    let argument = dk_norm_arguments(
      residual: address(residual), delta: delta, weight: step.weight, output: output, packed: packed, width: Int32(width(residual)), epsilon: epsilon)
    try stream.launch(kernels.norm, grid: (rows, 1, 1), threads: 256, argument)
  }

  private func linear(_ step: ResolvedStep, _ input: ValueID, _ output: ValueID, _ rows: Int) throws(CUDAError) -> Bool {
    var row = isSummed(rows) ? step.row : nil
    if !isNormed(rows) { row?.norm = nil }
    var packed = address(input)
    if !step.hasPackedInput, row?.norm == nil {
      packed = buffers.packed.address
      let argument = dk_pack_arguments(input: address(input), packed: packed, width: Int32(width(input)))
      try stream.launch(kernels.pack, grid: (rows, 1, 1), threads: 256, argument)
    }
    let panels = (width(output) + 15) / 16
    var argument = dk_linear_arguments(
      weight: step.weight, bias: step.second, packed: packed, output: address(output), rows: Int32(rows), outputs: Int32(width(output)),
      inputs: Int32(width(input)), stages: 0, early: 0)
    if let row {
      try self.row(step, row, argument)
      return step.gating != nil
    }
    if device.hasWarpGroupProducts,
      let shape = WideProductShape(
        panels: step.gating == nil ? panels : panels / 2, rows: rows, inputs: width(input), isGated: step.gating != nil,
        multiprocessors: device.multiprocessors)
    {
      (argument.stages, argument.early) = (Int32(shape.stages), Int32(shape.early))
      let wide = dk_linear_wide_arguments(
        linear: argument, activated: step.gating.map { address($0.output) } ?? 0, activation: step.gating?.activation.kernelNumber ?? 0,
        own: Int32(shape.own), window: Int32(shape.window), padding: 0)
      try stream.launch(
        kernels.product(shape.kernel), grid: (shape.blocks, 1, 1), threads: shape.threads, sharedMemory: shape.sharedMemory, wide)
      return step.gating != nil
    }
    guard rows <= Int(DK_CUDA_CHAIN_ROWS) else {
      let grid = ((rows + Int(DK_CUDA_TILE_ROWS) - 1) / Int(DK_CUDA_TILE_ROWS), (panels + 7) / 8, 1)
      try stream.launch(
        kernels.tile, grid: grid, threads: Int(DK_CUDA_TILE_THREADS), sharedMemory: Int(DK_CUDA_TILE_BYTES), argument)
      return false
    }
    if let gating = step.gating, device.hasRunCopies {
      let shape = ProductShape(gatedPanels: panels / 2, rows: rows)
      (argument.stages, argument.early) = (Int32(shape.stages), Int32(shape.early))
      let gated = dk_linear_gated_arguments(
        linear: argument, activated: address(gating.output), activation: gating.activation.kernelNumber, padding: 0)
      try stream.launch(
        kernels.product(shape.kernel), grid: (shape.blocks, 1, 1), threads: shape.threads, sharedMemory: shape.sharedMemory, gated)
      return true
    }
    let shape = ProductShape(panels: panels, rows: rows, device)
    (argument.stages, argument.early) = (Int32(shape.stages), Int32(shape.early))
    try stream.launch(
      kernels.product(shape.kernel), grid: (shape.blocks, 1, 1), threads: shape.threads, sharedMemory: shape.sharedMemory, argument)
    return false
  }

  private func row(_ step: ResolvedStep, _ row: RowFusion, _ linear: dk_linear_arguments) throws(CUDAError) {
    let panels = (Int(linear.outputs) + 15) / 16
    let shape = RowProductShape(
      panels: step.gating == nil ? panels : panels / 2, inputs: Int(linear.inputs), rows: Int(linear.rows),
      isGated: step.gating != nil, multiprocessors: device.multiprocessors, sharedMemory: device.sharedMemory)
    var linear = linear
    (linear.stages, linear.early) = (Int32(shape.stages), Int32(shape.early))
    let argument = dk_linear_row_arguments(
      linear: linear, residual: row.norm.map { address($0.value) } ?? 0, gain: row.norm == nil ? 0 : step.gain,
      sum: row.sum.map { address($0) } ?? 0,
      activated: step.gating.map { address($0.output) } ?? 0, epsilon: row.norm?.epsilon ?? 0,
      activation: step.gating?.activation.kernelNumber ?? 0, own: Int32(shape.own), window: Int32(shape.window),
      zero: 0, padding: 0)
    try stream.launch(
      kernels.product(shape.kernel), grid: (device.multiprocessors, 1, 1), threads: RowProductShape.threads, sharedMemory: shape.sharedMemory, argument)
  }

  private func attend(_ step: ResolvedStep, _ attention: Attention, _ inputs: StepInputs, _ splits: Int) throws(CUDAError) {
    let (heads, keyValueHeads) = (attention.heads, attention.keyValueHeads)
    let start = buffers.inputs.address
    let offsets = inputs.offsets
    let (positions, cells) = (start + UInt64(offsets.positions * 4), start + UInt64(offsets.cells * 4))
    let pool = buffers.pools[attention.layer].address
    let turn = dk_turn_arguments(
      qkv: address(attention.qkv), queries: buffers.queries.address, pool: pool, positions: positions, cells: cells,
      cosines: buffers.rotary?.cosines.address ?? 0, sines: buffers.rotary?.sines.address ?? 0, query_norm: step.weight,
      key_norm: step.second, heads: Int32(heads), kv_heads: Int32(keyValueHeads), rotary: Int32(plan.rotary?.dimension ?? 0),
      is_paired: plan.rotary?.style == .pairs ? 1 : 0, epsilon: attention.queryNorm?.epsilon ?? 0)
    if !inputs.isRowEach {
      try stream.launch(kernels.turn, grid: (inputs.rowCount, (heads + 2 * keyValueHeads + 7) / 8, 1), threads: 256, turn)
    }
    let tileHeads = attention.tileHeads
    let chunks = (heads / keyValueHeads + tileHeads - 1) / tileHeads
    let output = address(attention.output)
    let (plain, packed) = step.packsOutput ? (0, output) : (output, 0)
    for run in inputs.attention {
      // With one split there is nothing to merge.
      let isWhole = run.isPrompt || max(run.splits, splits) == 1
      // A block that merges many keeps others waiting, as a kernel that does nothing else does not.
      let isMerged = !isWhole && inputs.isRowEach && max(run.splits, splits) <= Self.mostMergedSplits
      let tiles = start + UInt64(offsets.tiles * 4 + run.tiles.lowerBound * MemoryLayout<dk_attention_tile>.size)
      let attend = dk_attend_arguments(
        queries: buffers.queries.address, pool: pool, tables: start + UInt64(offsets.tables * 4), tiles: tiles, peaks: buffers.peaks.address,
        sums: buffers.sums.address, results: buffers.results.address, output: isWhole ? plain : 0, packed: isWhole ? packed : 0,
        heads: Int32(heads), kv_heads: Int32(keyValueHeads),
        tile_heads: Int32(tileHeads), chunks: Int32(chunks), rows: Int32(inputs.rowCount), scale: attention.scale * Self.log2e)
      if run.isPrompt, let kernel = kernels.attendPrompt {
        try stream.launch(
          kernel, grid: (run.tiles.count, keyValueHeads * chunks, 1), threads: Int(DK_CUDA_PROMPT_THREADS),
          sharedMemory: Kernels.promptSharedMemory(attention.headSize), attend)
        continue
      }
      let grid = (run.tiles.count, keyValueHeads * chunks, max(run.splits, splits))
      if inputs.isRowEach {
        try stream.launch(
          isWhole ? kernels.attendRow : kernels.attendRowSplits, grid: grid, threads: Int(DK_CUDA_ATTEND_THREADS),
          dk_attend_row_arguments(
            turn: turn, attend: attend, counts: isMerged ? buffers.counts.address : 0, output: isMerged ? plain : 0, packed: isMerged ? packed : 0))
      } else {
        try stream.launch(kernels.attend, grid: grid, threads: Int(DK_CUDA_ATTEND_THREADS), attend)
      }
      if isWhole || isMerged { continue }
      let merge = dk_merge_arguments(
        peaks: buffers.peaks.address, sums: buffers.sums.address, results: buffers.results.address,
        partials: start + UInt64(offsets.partials * 4), positions: positions, output: plain,
        packed: packed, first_row: Int32(run.rows.lowerBound), heads: Int32(heads),
        rows: Int32(inputs.rowCount))
      try stream.launch(kernels.merge, grid: (run.rows.count, heads, 1), threads: attention.headSize > 64 ? 128 : 64, merge)
    }
  }

  private static let mostMergedSplits = 8
  private static let log2e: Float = 1.442_695_040_888_963_4
}

extension Activation {
  fileprivate var kernelNumber: Int32 {
    switch self {
    case .silu: 0
    case .gelu: 1
    case .geluTanh: 2
    case .relu: 3
    }
  }
}

extension Attention {
  /// Heads of a group that share a tile.
  var tileHeads: Int { min(Int(DK_CUDA_TILE_QUERIES), heads / keyValueHeads) }
}

/// What a step writes to on the card, made once.
final class StepBuffers {
  let slots: [DeviceMemory]
  /// A product's input in bfloat16, where what wrote it could not.
  let packed: DeviceMemory
  let queries: DeviceMemory
  /// See ``Gating``.
  let gated: DeviceMemory
  /// Of attention: for each row, split and head the largest score, the sum of weights, and the result before division.
  let peaks, sums, results: DeviceMemory
  /// Zeros between kernels: by row and block of heads, splits that are done.
  let counts: DeviceMemory
  /// See ``StepInputs``.
  let inputs: DeviceMemory
  let chosen: DeviceMemory
  let rotary: RotaryMemory?
  /// A layer's blocks of keys and values.
  let pools: [DeviceMemory]

  /// - Parameter cacheBlocks: Given the bytes that all else leaves free.
  init(_ plan: Plan, _ sizes: CUDASizes, _ device: Device, cacheBlocks: (_ free: Int) throws -> Int) throws {
    func memory(_ byteCount: Int, _ purpose: String) throws -> DeviceMemory { try DeviceMemory(device, byteCount: byteCount, for: purpose) }
    let heads = plan.operations.map { if case .attention(let attention) = $0 { attention.heads } else { 0 } }.max() ?? 0
    slots = try plan.slotByteCounts(rows: sizes.steps.rows, selected: sizes.steps.logitRows).map { try memory($0, "activations") }
    packed = try memory(Plan.packedByteCount(plan.widestLinearInput, rows: max(sizes.steps.rows, sizes.steps.logitRows)), "activations")
    queries = try memory(2 * sizes.steps.rows * heads * plan.cache.paddedHeadSize, "queries")
    let widest = Gating.all(in: plan).values.map { plan.values[$0.output.index].width }.max() ?? 0
    gated = try memory(Plan.packedByteCount(widest, rows: max(sizes.steps.rows, sizes.steps.logitRows)), "activations")
    peaks = try memory(4 * sizes.partials * heads, "attention")
    sums = try memory(4 * sizes.partials * heads, "attention")
    results = try memory(4 * sizes.partials * heads * plan.cache.paddedHeadSize, "attention")
    counts = try memory(4 * sizes.steps.sequences * heads, "attention")
    inputs = try memory(
      4 * StepInputs.mostWords(rows: sizes.steps.rows, sequences: sizes.steps.sequences, selected: sizes.steps.logitRows, length: sizes.steps.sequenceLength), "tokens")
    chosen = try memory(4 * sizes.steps.logitRows, "tokens")
    rotary = try plan.rotary.map { try RotaryMemory($0, positions: sizes.steps.sequenceLength, device) }
    let count = try cacheBlocks(try device.freeByteCount)
    pools = try (0..<plan.cache.layers).map { _ in try memory(plan.cache.layerBlockByteCount * count, "keys and values") }
  }
}
