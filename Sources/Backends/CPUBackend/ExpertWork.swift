import CPUKernels
import Engines
import Networks

/// The products of one layer's experts with their names looked up: those of the rank's first expert, and how far apart experts lie.
@safe struct ResolvedExperts {
  /// `[up ; gate]` and `down` of one expert.
  var fused: ResolvedProduct
  var down: ResolvedProduct
  /// Bytes from one expert's panels to the next's.
  var strides: (fused: Int, down: Int)
}

/// Computes mixtures of experts: gathers rows by expert, so that an expert's weights are read once for all of its rows and those of
/// experts that no row goes to are not read at all. One for all layers of a rank; every thread of its team calls ``run(_:_:_:_:thread:of:)``.
///
/// A row's result is that of its experts' products by the kernels of its phase, summed in the order of experts: it depends neither on
/// other rows nor on how the work is shared out.
@safe final class ExpertWork: @unchecked Sendable {  // threads agree on who writes where, with barriers between
  /// Rows that are gathered together: enough to use each weight often, few enough that what is gathered stays small.
  static let rows = 512
  /// Slots that one thread gathers by itself, as it costs less than waiting for others to have done their part.
  private static let fewSlots = 16

  private let isa: dk_isa
  private let team: ThreadTeam
  /// For each thread, where weights in fewer bits are expanded for prompts.
  private let expanded: [AlignedBuffer]
  private let slots: ExpertSlots
  /// By slot: inputs of a product, rounded where it takes such.
  private let gathered: AlignedBuffer
  /// By slot: the first product, and then the activation of it in the first half of each row.
  private let inner: AlignedBuffer
  /// By slot: what the expert makes of its row.
  private let outputs: AlignedBuffer

  /// nil where the plan has no experts.
  ///
  /// - Parameter rows: Most token rows of a step.
  init?(_ plan: Plan, rows: Int, isa: dk_isa, team: ThreadTeam, expanded: [AlignedBuffer]) throws(AlignedBuffer.NoMemory) {
    guard let sizes = ExpertSizes(plan) else { return nil }
    (self.isa, self.team, self.expanded) = (isa, team, expanded)
    let rows = min(rows, Self.rows)
    slots = try ExpertSlots(rows: rows, experts: sizes.experts, chosen: sizes.chosen)
    gathered = try AlignedBuffer(reserving: rows * sizes.chosen * sizes.gathered)
    inner = try AlignedBuffer(reserving: rows * sizes.chosen * sizes.inner)
    outputs = try AlignedBuffer(reserving: rows * sizes.chosen * sizes.output)
  }

  /// Where one operation's values lie, and how wide their rows are.
  @safe struct Values {
    var input: UnsafePointer<Float>
    var width: Int
    var shares: UnsafePointer<Float>
    var shareWidth: Int
    var output: UnsafeMutablePointer<Float>
    var outputWidth: Int
  }

  /// - Parameters:
  ///   - thread: Who calls, of `count`; all threads meet after it before anything else is computed.
  func run(_ body: Experts, _ step: ResolvedExperts, _ values: Values, _ layout: StepLayout, thread: Int, of count: Int) {
    var isFirst = true
    for (rows, isPrefill) in [(layout.decodeRows, false), (layout.prefillRows, true)] {
      for first in stride(from: 0, to: rows.count, by: Self.rows) {
        // Others may still read the slots of the rows before.
        if !isFirst { team.barrier(thread) }
        isFirst = false
        mix(body, step, values, rows[first..<min(first + Self.rows, rows.count)], isPrefill, thread, count)
      }
    }
  }

  private func mix(
    _ body: Experts, _ step: ResolvedExperts, _ values: Values, _ rows: ArraySlice<Int32>, _ isPrefill: Bool, _ thread: Int, _ count: Int
  ) {
    let most = min(body.chosen, body.count)
    let (width, double) = (values.width, unsafe Int(step.fused.linear.n))
    let half = double / 2
    let isRounded = unsafe isPrefill && step.fused.linear.type.takesRoundedInputs
    func total() -> Int { slots.slots(of: body.count - 1).upperBound }
    func gather(_ slots: Range<Int>) {
      for slot in slots { unsafe self.gather(values.input + self.slots.row(of: slot) * width, width, to: slot, isRounded) }
    }

    if thread == 0 {
      unsafe slots.fill(
        rows, shares: values.shares, width: values.shareWidth, experts: body.first..<body.first + body.count, most: most)
      if total() <= Self.fewSlots { gather(0..<total()) }
    }
    team.barrier(thread)
    let own = ThreadTeam.share(of: total(), thread: thread, threadCount: count)
    if total() > Self.fewSlots {
      gather(own)
      team.barrier(thread)
    }
    unsafe multiply(
      step.fused, step.strides.fused, body.count, isPrefill, thread, count, gathered.base, isRounded ? Int(dk_rounded_stride(Int64(width))) : width,
      inner.floats, double)
    team.barrier(thread)
    let activated = unsafe inner.floats + own.lowerBound * double
    unsafe dk_gated_activation(
      isa, dk_activation_kind(body.activation), activated, Int64(double), activated, Int64(double), Int64(own.count), Int64(half))
    let roundsInner = unsafe isPrefill && step.down.linear.type.takesRoundedInputs
    let stride = roundsInner ? Int(dk_rounded_stride(Int64(half))) : double
    if roundsInner {
      unsafe dk_round_rows(
        isa, gathered.base.assumingMemoryBound(to: UInt16.self) + own.lowerBound * stride, activated, Int64(double), Int64(own.count), Int64(half))
    }
    team.barrier(thread)
    unsafe multiply(
      step.down, step.strides.down, body.count, isPrefill, thread, count, roundsInner ? gathered.base : inner.base, stride, outputs.floats,
      values.outputWidth)
    team.barrier(thread)
    for index in ThreadTeam.share(of: rows.count, thread: thread, threadCount: count) {
      let sum = unsafe values.output + Int(rows[rows.startIndex + index]) * values.outputWidth
      unsafe sum.update(repeating: 0, count: values.outputWidth)
      slots.forEachSlot(ofRow: index, most: most) { slot, share in
        unsafe dk_add_scaled(isa, sum, outputs.floats + slot * values.outputWidth, share, Int64(values.outputWidth))
      }
    }
  }

  private func gather(_ row: UnsafePointer<Float>, _ width: Int, to slot: Int, _ isRounded: Bool) {
    if isRounded {
      let place = unsafe gathered.base.assumingMemoryBound(to: UInt16.self) + slot * Int(dk_rounded_stride(Int64(width)))
      unsafe dk_round_rows(isa, place, row, Int64(width), 1, Int64(width))
    } else {
      unsafe (gathered.floats + slot * width).update(from: row, count: width)
    }
  }

  /// A thread's share of the products of all experts with their slots' rows.
  private func multiply(
    _ product: ResolvedProduct, _ byteCount: Int, _ experts: Int, _ isPrefill: Bool, _ thread: Int, _ count: Int, _ x: UnsafeMutableRawPointer, _ stride: Int,
    _ out: UnsafeMutablePointer<Float>, _ width: Int
  ) {
    let panels = unsafe Int(dk_panel_count(product.linear.n))
    slots.share(experts: experts, panels: panels, thread: thread, of: count) { expert, own in
      let rows = slots.slots(of: expert)
      var weight = unsafe product.linear
      unsafe weight.panels += expert * byteCount
      if isPrefill {
        unsafe dk_linear_prefill(
          isa, product.prefillTactic, &weight, x, Int64(stride), out, Int64(width), Int64(rows.lowerBound), Int64(rows.upperBound),
          Int64(own.lowerBound), Int64(own.upperBound), expanded.isEmpty ? nil : expanded[thread].base)
      } else {
        unsafe dk_linear_decode(
          isa, product.decodeTactic, &weight, x.assumingMemoryBound(to: Float.self) + rows.lowerBound * stride, Int64(stride),
          out + rows.lowerBound * width, Int64(width), Int64(rows.count), Int64(own.lowerBound), Int64(own.upperBound))
      }
    }
  }
}

/// What a plan's largest mixture of experts asks of memory.
struct ExpertSizes {
  var experts = 0
  var chosen = 0
  /// Bytes of a slot.
  var gathered = 0, inner = 0, output = 0

  /// nil where the plan has none.
  init?(_ plan: Plan) {
    for case .experts(let body) in plan.operations {
      let (width, outer) = (plan.values[body.input.index].width, plan.values[body.output.index].width)
      let half = plan.weights[body.down]?.shape[1] ?? 0
      experts = max(experts, body.count)
      chosen = max(chosen, min(body.chosen, body.count))
      gathered = max(gathered, 4 * width, 2 * Int(max(dk_rounded_stride(Int64(width)), dk_rounded_stride(Int64(half)))))
      inner = max(inner, 8 * half)
      output = max(output, 4 * outer)
    }
    if experts == 0 { return nil }
  }

  /// Bytes for steps of so many rows. As a float, since nothing bounds the sum.
  func byteCount(rows: Int) -> Double {
    Double(min(rows, ExpertWork.rows)) * Double(chosen) * Double(gathered + inner + output + 12) + 8 * Double(experts + 1)
  }
}
