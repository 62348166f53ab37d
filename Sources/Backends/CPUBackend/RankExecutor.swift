import CPUKernels
import Engines
import Execution
import Networks
import OrderedCollections
import Tensors
import Threads

/// Walks one rank's plan. Used from one thread at a time, which becomes thread 0 of its team.
@safe final class RankExecutor: @unchecked Sendable {  // handed from one caller to the next, never shared
  let plan: Plan
  private let file: MappedWeights
  private let communicator: any Communicator
  private let team: ThreadTeam
  private let isa: dk_isa
  /// Changes between two steps only.
  private var current: ResolvedSteps
  private let slots: [AlignedBuffer]
  /// Activations of one linear operation rounded to bfloat16.
  private let rounded: AlignedBuffer
  /// For each thread, where weights in fewer bits are expanded for prompts.
  private let expanded: [AlignedBuffer]
  private let rotaries: [RotaryTables]
  /// One pool of blocks for each layer, cache by cache.
  private let pools: [AlignedBuffer]
  private let queue = Counter()
  private let experts: ExpertWork?

  /// - Parameters:
  ///   - rows: Most token rows of a step.
  ///   - selected: Most rows that want logits.
  ///   - rotaries: Of all ranks; hold every position of a step before it is computed.
  /// - Throws: ``EngineError`` for weights that are absent, ``AlignedBuffer/NoMemory``.
  init(
    engine: EngineFile, communicator: any Communicator, isa: dk_isa, threadCount: Int, rows: Int, selected: Int,
    rotaries: [RotaryTables], cacheBlockCount: Int
  ) throws {
    plan = engine.plan
    file = try MappedWeights(engine)
    self.communicator = communicator
    self.isa = isa
    team = ThreadTeam(threadCount: threadCount)
    let plan = plan
    slots = try plan.slotRows.enumerated().map { slot, kind in
      let count =
        switch kind {
        case .tokens?: rows;
        case .selected?: selected;
        case nil: 0
        }
      return try AlignedBuffer(reserving: plan.slots.widths[slot] * count * MemoryLayout<Float>.stride)
    }
    pools = try plan.caches.flatMap { cache in
      try (0..<cache.layers).map { _ in try AlignedBuffer(reserving: cache.blockByteCount * cacheBlockCount) }
    }
    self.rotaries = rotaries
    rounded = try AlignedBuffer(reserving: plan.roundedRowByteCount * rows)
    let expandedByteCount = plan.expandedByteCount
    expanded = expandedByteCount == 0 ? [] : try (0..<threadCount).map { _ in try AlignedBuffer(reserving: expandedByteCount) }
    experts = try ExpertWork(plan, rows: rows, isa: isa, team: team, expanded: expanded)
    current = ResolvedSteps(plan: plan, weights: RankWeights(file), isa: isa)
  }

  /// Weights in the file that every step reads in full: of experts none is, as steps read those that rows go to.
  var stepWeights: [UnsafeRawBufferPointer] {
    var names: Set<String> = []
    for operation in plan.operations {
      switch operation {
      case .linear(let linear): names.insert(linear.weight)
      case .routing(let routing): names.insert(routing.weight)
      case .norm(let norm): names.insert(norm.weight)
      default: break
      }
    }
    return unsafe names.sorted().map { name in
      unsafe UnsafeRawBufferPointer(start: file.pointer(name), count: plan.weights[name]?.stored.byteCount ?? 0)
    }
  }
  /// Keys and values of one position in all layers.
  var cacheByteCountPerToken: Int { plan.cacheBlockByteCount / Int(DK_BLOCK_TOKENS) }

  /// The steps with some weights replaced. From any thread: nothing of this is in use before ``use(_:)``.
  func resolve(made: [String: WeightMemory]) -> ResolvedSteps {
    for (name, memory) in made {
      precondition(memory.byteCount == plan.weights[name]?.stored.byteCount, "\(name): made by the plan's recipe")
    }
    return ResolvedSteps(plan: plan, weights: RankWeights(file, made: made), isa: isa)
  }

  /// Computes with other weights from the next step on. Not during a step.
  func use(_ steps: ResolvedSteps) { current = steps }
  var inUse: ResolvedSteps { current }

  private func floats(_ value: ValueID) -> UnsafeMutablePointer<Float> { unsafe slots[plan.slots.slot[value.index]].floats }
  private func width(_ value: ValueID) -> Int { plan.values[value.index].width }
  private func rows(_ value: ValueID, _ layout: StepLayout) -> Int {
    plan.values[value.index].rows == .tokens ? layout.rowCount : layout.selectedRows.count
  }

  /// Computes a step. Nothing can fail: the batch was checked by ``CPUEngine``.
  func step(_ batch: Batch, _ layout: StepLayout) {
    let steps = current.steps
    team.run { thread, count in
      for step in steps {
        perform(step, batch, layout, thread, count)
        team.barrier(thread)
      }
    }
  }

  /// The logits of the last operation, `[selected, ≥ vocabulary]`; only on the last pipeline stage.
  var logits: (base: UnsafeMutablePointer<Float>, stride: Int)? {
    guard plan.pipelineRank == plan.pipelineParallel - 1, let value = plan.operations.last?.uses.writes.first else { return nil }
    return unsafe (floats(value), width(value))
  }

  private func perform(_ step: ResolvedStep, _ batch: Batch, _ layout: StepLayout, _ thread: Int, _ count: Int) {
    func share(_ total: Int) -> Range<Int> { total * thread / count..<total * (thread + 1) / count }
    switch step.operation {
    case .embed(let body): embed(step, body, batch, share(layout.rowCount))
    case .norm(let body): norm(step, body, share(rows(body.output, layout)))
    case .linear(let body): linear(step, layout, body.input, body.output, thread, count)
    case .attention(let body): attend(step, body, batch, layout, thread, count)
    case .activatedProduct: break  // the plan's check refuses it
    case .gated(let body): gate(body, share(rows(body.output, layout)))
    case .routing(let body): route(step, body, layout.rowCount, thread, count)
    case .experts(let body): mix(step, body, layout, thread, count)
    case .unary(let body): change(body, share(rows(body.value, layout) * width(body.value)))
    case .add(let body):
      let part = share(rows(body.target, layout) * width(body.target))
      unsafe dk_add(isa, floats(body.target) + part.lowerBound, floats(body.value) + part.lowerBound, Int64(part.count))
    case .select(let body):
      let n = width(body.input)
      for row in share(layout.selectedRows.count) {
        unsafe (floats(body.output) + row * n).update(from: floats(body.input) + layout.selectedRows[row] * n, count: n)
      }
    case .allReduce, .allGather, .send, .receive: if thread == 0 { exchange(step.operation, layout) }
    }
  }

  private func exchange(_ operation: Operation, _ layout: StepLayout) {
    func count(_ value: ValueID) -> Int { rows(value, layout) * width(value) }
    switch operation {
    case .allReduce(let body): unsafe communicator.allReduce(floats(body.value), count: count(body.value))
    case .allGather(let body):
      unsafe communicator.allGather(floats(body.input), rows: rows(body.input, layout), width: width(body.input), into: floats(body.output))
    case .send(let body): unsafe communicator.send(floats(body.value), count: count(body.value))
    case .receive(let body): unsafe communicator.receive(floats(body.value), count: count(body.value))
    default: break
    }
  }

  private func norm(_ step: ResolvedStep, _ body: Norm, _ rows: Range<Int>) {
    let n = width(body.input)
    let first = rows.lowerBound * n
    let (stride, count) = (Int64(n), Int64(rows.count))
    guard let weight = step.vector else { return }
    let output = unsafe floats(body.output) + first
    var input = unsafe floats(body.input) + first
    if let residual = body.residual {
      let sum = unsafe floats(residual) + first
      if body.kind == .rms {
        return unsafe dk_add_rmsnorm(isa, output, stride, sum, stride, input, stride, weight.pointer, weight.type, count, stride, body.epsilon)
      }
      unsafe dk_add(isa, sum, input, count * stride)
      unsafe input = sum
    }
    switch body.kind {
    case .rms: unsafe dk_rmsnorm(isa, output, stride, input, stride, weight.pointer, weight.type, count, stride, body.epsilon)
    case .layer: unsafe dk_layernorm(isa, output, stride, input, stride, weight.pointer, step.bias?.pointer, weight.type, count, stride, body.epsilon)
    }
  }

  private func gate(_ body: Gated, _ rows: Range<Int>) {
    let n = width(body.output)
    let output = unsafe floats(body.output) + rows.lowerBound * n
    let input = unsafe floats(body.input) + rows.lowerBound * 2 * n
    if let limits = body.limits {
      unsafe dk_limited_gate(isa, limits.limit, limits.alpha, limits.offset, output, Int64(n), input, Int64(2 * n), Int64(rows.count), Int64(n))
    } else {
      unsafe dk_gated_activation(isa, dk_activation_kind(body.activation), output, Int64(n), input, Int64(2 * n), Int64(rows.count), Int64(n))
    }
  }

  private func route(_ step: ResolvedStep, _ body: Routing, _ total: Int, _ thread: Int, _ count: Int) {
    guard let product = step.product else { return }
    var weight = unsafe product.linear
    let (k, n, panels) = (width(body.input), width(body.output), dk_panel_count(unsafe product.linear.n))
    func multiply(_ rows: Range<Int>, _ panels: Range<Int64>) {
      unsafe dk_linear_decode(
        isa, product.decodeTactic, &weight, floats(body.input) + rows.lowerBound * k, Int64(k), floats(body.output) + rows.lowerBound * n, Int64(n),
        Int64(rows.count), panels.lowerBound, panels.upperBound)
    }
    let own = ThreadTeam.share(of: total, thread: thread, threadCount: count)
    if total < count {
      multiply(0..<total, panels * Int64(thread) / Int64(count)..<panels * Int64(thread + 1) / Int64(count))
      team.barrier(thread)
    } else {
      multiply(own, 0..<panels)
    }
    let shares = unsafe floats(body.output) + own.lowerBound * n
    unsafe dk_route(
      isa, shares, Int64(n), shares, Int64(n), Int64(own.count), Int64(n), Int64(body.chosen), body.normalizes, body.scale)
  }

  private func mix(_ step: ResolvedStep, _ body: Experts, _ layout: StepLayout, _ thread: Int, _ count: Int) {
    guard let experts, let resolved = step.experts else { return }
    let values = unsafe ExpertWork.Values(
      input: floats(body.input), width: width(body.input), shares: floats(body.shares), shareWidth: width(body.shares),
      output: floats(body.output), outputWidth: width(body.output))
    experts.run(body, resolved, values, layout, thread: thread, of: count)
  }

  private func change(_ body: Unary, _ part: Range<Int>) {
    let start = unsafe floats(body.value) + part.lowerBound
    let count = Int64(part.count)
    switch body.kind {
    case .scale(let factor): unsafe dk_scale(isa, start, factor, count)
    case .softCap(let cap): unsafe dk_soft_cap(isa, start, cap, count)
    case .activation(let activation): unsafe dk_activation(isa, dk_activation_kind(activation), start, count, start, count, 1, count)
    }
  }

  private func embed(_ step: ResolvedStep, _ body: Embed, _ batch: Batch, _ rows: Range<Int>) {
    let n = width(body.output)
    guard let table = step.vector else { return }
    for row in rows {
      let destination = unsafe floats(body.output) + row * n
      var id = batch.tokens[row] - Int32(clamping: body.firstToken)
      guard id >= 0, id < step.tableRows else {  // another rank's row
        unsafe destination.update(repeating: 0, count: n)
        continue
      }
      if step.isPanel {
        unsafe dk_gather_panels(table.type, destination, Int64(n), table.pointer, Int64(n), &id, 1, body.scale)
      } else {
        unsafe dk_gather_rows(table.type, destination, Int64(n), table.pointer, Int64(n), &id, 1, body.scale)
      }
    }
  }

  private func linear(_ step: ResolvedStep, _ layout: StepLayout, _ input: ValueID, _ output: ValueID, _ thread: Int, _ count: Int) {
    guard let product = step.product else { return }
    var weight = unsafe product.linear
    let panels = dk_panel_count(unsafe weight.n)
    let (first, end) = (panels * Int64(thread) / Int64(count), panels * Int64(thread + 1) / Int64(count))
    let (n, k) = (width(output), width(input))
    func decode(_ rows: Range<Int>) {
      unsafe dk_linear_decode(
        isa, product.decodeTactic, &weight, floats(input) + rows.lowerBound * k, Int64(k), floats(output) + rows.lowerBound * n,
        Int64(n), Int64(rows.count), first, end)
    }
    // Logits always by the decode kernel: a row is the same whether its prompt ended here or it was generated.
    guard plan.values[output.index].rows == .tokens else { return decode(0..<layout.selectedRows.count) }
    for run in layout.runs where run.phase == .decode { decode(run.rows) }
    guard layout.runs.contains(where: { $0.phase == .prefill }) else { return }
    let isRounded = unsafe weight.type.takesRoundedInputs
    let stride = isRounded ? Int(dk_rounded_stride(Int64(k))) : k
    if isRounded {
      for run in layout.runs where run.phase == .prefill {
        let total = run.rows.count
        let part = run.rows.lowerBound + total * thread / count..<run.rows.lowerBound + total * (thread + 1) / count
        unsafe dk_round_rows(
          isa, rounded.base.assumingMemoryBound(to: UInt16.self) + part.lowerBound * stride,
          floats(input) + part.lowerBound * k, Int64(k), Int64(part.count), Int64(k))
      }
      team.barrier(thread)
    }
    for run in layout.runs where run.phase == .prefill {
      let x: UnsafeRawPointer = unsafe isRounded ? UnsafeRawPointer(rounded.base) : UnsafeRawPointer(floats(input))
      unsafe dk_linear_prefill(
        isa, product.prefillTactic, &weight, x, Int64(stride), floats(output), Int64(n), Int64(run.rows.lowerBound),
        Int64(run.rows.upperBound), first, end, expanded.isEmpty ? nil : expanded[thread].base)
    }
  }

  private func attend(
    _ step: ResolvedStep, _ attention: Attention, _ batch: Batch, _ layout: StepLayout, _ thread: Int, _ count: Int
  ) {
    guard var shape = unsafe step.attention else { return }
    let pool = unsafe pools[step.pool].base
    let (heads, keyValueHeads, size) = (attention.heads, attention.keyValueHeads, attention.headSize)
    let rowStride = (heads + 2 * keyValueHeads) * size
    let qkv = unsafe floats(attention.qkv)
    // Turn queries and keys, store keys and values: rows are shared out within each slice.
    for slice in batch.sequences {
      let total = slice.rows.count
      let part = total * thread / count..<total * (thread + 1) / count
      guard !part.isEmpty else { continue }
      let position = Int64(slice.firstPosition + part.lowerBound)
      let row = unsafe qkv + (slice.rows.lowerBound + part.lowerBound) * rowStride
      func normHeads(_ places: Range<Int>, _ norm: Attention.HeadNorm?, _ weight: ResolvedVector?) {
        guard let norm, let weight else { return }
        // Heads lie beside each other, so all of them together are as one wide head.
        let (step, width) = norm.spansHeads ? (places.count, places.count * size) : (1, size)
        for head in stride(from: places.lowerBound, to: places.upperBound, by: step) {
          let first = unsafe row + head * size
          unsafe dk_rmsnorm(
            isa, first, Int64(rowStride), first, Int64(rowStride), weight.pointer, weight.type, Int64(part.count), Int64(width), norm.epsilon)
        }
      }
      normHeads(0..<heads, attention.queryNorm, step.queryNorm)
      normHeads(heads..<heads + keyValueHeads, attention.keyNorm, step.keyNorm)
      if let index = attention.rotary {
        let rotary = rotaries[index]
        unsafe dk_rope(
          isa, dk_rope_style(rotary.rotary.style), row, Int64(rowStride), Int64(part.count), Int64(heads + keyValueHeads),
          Int64(size), Int64(rotary.rotary.dimension), rotary.cosines, rotary.sines, position)
      }
      unsafe slice.blockTable.withUnsafeBufferPointer { table in
        unsafe dk_cache_store(
          &shape, pool, table.baseAddress, position, row + heads * size, Int64(rowStride),
          row + (heads + keyValueHeads) * size, Int64(rowStride), Int64(part.count))
      }
    }
    if thread == 0 { queue.reset() }
    team.barrier(thread)
    let perGroup = heads / keyValueHeads
    let items = layout.attention[keyValueHeads] ?? []
    while let index = queue.take(below: items.count) {
      let item = items[index]
      let slice = batch.sequences[item.slice]
      unsafe slice.blockTable.withUnsafeBufferPointer { table in
        unsafe dk_attention(
          isa, &shape, pool, table.baseAddress, Int64(slice.firstPosition), qkv + slice.rows.lowerBound * rowStride,
          Int64(rowStride), floats(attention.output) + slice.rows.lowerBound * heads * size, Int64(heads * size),
          Int64(item.rows.lowerBound), Int64(item.rows.upperBound), Int64(item.group * perGroup),
          Int64((item.group + 1) * perGroup))
      }
    }
  }
}
