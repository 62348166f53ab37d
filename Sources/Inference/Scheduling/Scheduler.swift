/// Decides which tokens of which sequences the next step computes, and which cache blocks they use.
///
/// In-flight batching: sequences join and leave between steps. In a step
///
/// 1. every sequence that is past its prompt computes its last token (oldest first; when blocks run out the youngest
///    running sequence gives up its own and waits to be computed again);
/// 2. waiting sequences are admitted in order of arrival while their known tokens fit the cache;
/// 3. rows left over go to prompts, oldest first, in chunks, and to answers that are computed again.
///
/// Prompt tokens go through the prefill phase and generated ones through decode, also when they are computed again after
/// a preemption: the phases round differently, and an answer must not depend on what else runs.
///
/// Nobody starves: the oldest sequence is never preempted for another, admission keeps the order of arrival, and a
/// sequence that fits the cache alone can always end. Pure: no tensor, clock or lock.
package struct Scheduler: Sendable {
  package let limits: SchedulerLimits
  package private(set) var blocks: BlockManager
  /// By arrival.
  package private(set) var running: [SequenceID] = []
  /// By arrival; preempted sequences are older than any that never ran, so they come first.
  package private(set) var waiting: [SequenceID] = []
  private var sequences: [SequenceID: ScheduledSequence] = [:]
  /// While set, no sequence begins that never ran; preempted ones do.
  package var admitsNewSequences = true

  package init(limits: SchedulerLimits, blockCount: Int, blockTokens: Int) {
    self.limits = limits
    blocks = BlockManager(blockCount: blockCount, blockTokens: blockTokens)
  }

  package var isEmpty: Bool { running.isEmpty && waiting.isEmpty }
  /// Whether a sequence is under way: running, or preempted.
  package var isAnyUnderWay: Bool {
    !running.isEmpty || (waiting.first.flatMap { sequences[$0]?.wasAdmitted } ?? false)
  }
  package subscript(_ id: SequenceID) -> ScheduledSequence? { sequences[id] }

  // MARK: Coming and going

  /// Adds a sequence, which will run when its turn comes.
  /// - Parameters:
  ///   - id: Arrived after all others.
  ///   - promptIDs: Not empty; with all tokens that will be generated, no longer than the whole cache.
  ///   - scoresPrompt: Wants the logits of every prompt row, once. Such a prompt is computed from its first token on,
  ///     whatever the cache holds.
  package mutating func add(_ id: SequenceID, promptIDs: [Int32], scoresPrompt: Bool = false) {
    precondition(sequences[id] == nil && !promptIDs.isEmpty && waiting.last.map { $0 < id } ?? true)
    sequences[id] = ScheduledSequence(id: id, promptIDs: promptIDs, scoresPrompt: scoresPrompt)
    waiting.append(id)
  }

  /// Appends the token that was chosen after a step that wanted logits.
  package mutating func append(_ token: Int32, to id: SequenceID) {
    precondition(sequences[id]?.pending == 0, "a token was chosen for \(id) before its last one was computed")
    sequences[id]?.tokens.append(token)
    sequences[id]?.hasChosen = true
  }

  /// Removes a sequence, finished or not, and frees its blocks.
  package mutating func remove(_ id: SequenceID) {
    guard let sequence = sequences.removeValue(forKey: id) else { return }
    blocks.release(table: sequence.blocks)
    if let index = running.firstIndex(of: id) { running.remove(at: index) }
    if let index = waiting.firstIndex(of: id) { waiting.remove(at: index) }
  }

  /// Makes every running sequence give up its blocks and wait to be computed again.
  package mutating func preemptAll() {
    while let last = running.last { preempt(last) }
  }

  /// Makes those yield that have chosen nothing from what the cache holds of them: prompts half read, and answers being
  /// computed again. Whoever changes weights would else mix in a version that no choice names.
  package mutating func preemptSilent() -> Int {
    let silent = running.filter { sequences[$0]?.hasChosen == false }
    for id in silent.reversed() { preempt(id) }
    return silent.count
  }

  /// Forgets what the cache holds of prompts, as when weights changed. Running sequences keep their blocks, but these
  /// will not be found by others.
  package mutating func forgetPrefixes() {
    blocks.forgetPrefixes()
    for id in running { sequences[id]?.mayPublish = false }
  }

  // MARK: A step

  /// Plans a step. Empty if nothing can run.
  package mutating func next() -> StepPlan {
    var plan = StepPlan()
    var rows = limits.maximumRows
    // 1. A row for every sequence past its prompt. `running` shrinks when the youngest yields.
    var position = 0
    while position < running.count {
      let id = running[position]
      position += 1
      guard let sequence = sequences[id], !sequence.isInPrefill else { continue }
      guard reserve(sequence.computed + 1, for: id, &plan) else { continue }
      plan.slices.append(slice(sequence, count: 1))
      rows -= 1
    }
    let isDecoding = !plan.slices.isEmpty
    // 2. After a preemption there is no room for anyone else.
    if plan.preempted.isEmpty { admit(&plan) }
    // 3. What is left, oldest first. Blocks for known tokens were reserved when the sequence was admitted.
    var catchUpRows = isDecoding ? min(rows, limits.maximumCatchUpRowsBesideDecode) : rows
    // Every sequence may choose a token in this step; what is left of the rows with logits scores prompts.
    var scoredRows = limits.maximumLogitRows - max(0, running.count - 1)
    for id in running where catchUpRows > 0 {
      guard let sequence = sequences[id] else { continue }
      let planned = plan.slices.firstIndex { $0.id == id }
      let already = planned.map { plan.slices[$0].positions.count } ?? 0
      let wanted = (sequence.isInPrefill ? sequence.promptCount : sequence.tokens.count) - sequence.computed - already
      var count = min(wanted, catchUpRows)
      if sequence.scores { count = min(count, scoredRows) }
      guard count > 0 else { continue }
      if sequence.scores { scoredRows -= count }
      let slice = slice(sequence, count: already + count)
      if let planned { plan.slices[planned] = slice } else { plan.slices.append(slice) }
      catchUpRows -= count
    }
    plan.slices.sort { $0.id < $1.id }
    return plan
  }

  /// Notes that a step was computed: its tokens are in the cache, and full prompt blocks can be found.
  package mutating func complete(_ plan: StepPlan) {
    for slice in plan.slices {
      guard var sequence = sequences.removeValue(forKey: slice.id) else { continue }
      sequence.computed = slice.positions.upperBound
      // Said once: an answer that is computed again does not score its prompt again.
      if sequence.computed >= sequence.promptCount { sequence.scoresPrompt = false }
      if sequence.mayPublish { publish(&sequence) }
      sequences[slice.id] = sequence
    }
  }

  private func slice(_ sequence: ScheduledSequence, count: Int) -> StepPlan.Slice {
    let end = sequence.computed + count
    return .init(
      id: sequence.id, positions: sequence.computed..<end, phase: sequence.isInPrefill ? .prefill : .decode,
      wantsLogits: end == sequence.tokens.count, scores: sequence.scores)
  }

  /// Gives `id` blocks for `count` tokens, taking them from younger sequences if need be.
  /// - Returns: Whether it still runs: if it is the youngest itself, it yields.
  private mutating func reserve(_ count: Int, for id: SequenceID, _ plan: inout StepPlan) -> Bool {
    let needed = blocks.blocks(forTokens: count)
    while let held = sequences[id]?.blocks.count, held < needed {
      if let block = blocks.allocate() {
        sequences[id]?.blocks.append(block)
      } else if let youngest = running.last {
        preempt(youngest)
        plan.preempted.append(youngest)
        if youngest == id { return false }
      }
    }
    return true
  }

  private mutating func admit(_ plan: inout StepPlan) {
    while running.count < limits.maximumSequences, let id = waiting.first, var sequence = sequences[id] {
      guard admitsNewSequences || sequence.wasAdmitted else { return }
      // The last known token's row must be computed to choose what follows; it cannot be found.
      let findable = sequence.scores ? 0 : min(sequence.promptCount, sequence.tokens.count - 1) / blocks.blockTokens
      let found = blocks.match(sequence.tokens[..<sequence.promptCount], maximumBlocks: findable)
      let fresh = blocks.blocks(forTokens: sequence.tokens.count) - found.count
      let revived = found.count { blocks.referenceCount($0.block) == 0 }
      // A block in hand for each that runs, or the newcomer would soon be preempted again.
      guard fresh + revived + running.count <= blocks.availableCount else { return }

      for entry in found { blocks.retain(entry.block) }
      sequence.blocks = found.map(\.block)
      for _ in 0..<fresh { if let block = blocks.allocate() { sequence.blocks.append(block) } }
      sequence.computed = found.count * blocks.blockTokens
      sequence.published = found.count
      sequence.publishedIdentity = found.last?.identity ?? .root
      sequence.mayPublish = true
      if !sequence.wasAdmitted { sequence.cachedPromptTokens = sequence.computed }
      sequence.wasAdmitted = true
      sequence.hasChosen = false
      sequences[id] = sequence
      waiting.removeFirst()
      running.insert(id, at: running.firstIndex { id < $0 } ?? running.count)
      plan.admitted.append(id)
    }
  }

  private mutating func preempt(_ id: SequenceID) {
    guard let index = running.firstIndex(of: id) else { return }
    running.remove(at: index)
    waiting.insert(id, at: waiting.firstIndex { id < $0 } ?? waiting.count)
    blocks.release(table: sequences[id]?.blocks ?? [])
    sequences[id]?.blocks = []
    sequences[id]?.computed = 0
  }

  private mutating func publish(_ sequence: inout ScheduledSequence) {
    let size = blocks.blockTokens
    while (sequence.published + 1) * size <= min(sequence.computed, sequence.promptCount) {
      let index = sequence.published
      let entry = blocks.publish(
        sequence.blocks[index], sequence.tokens[index * size..<(index + 1) * size], after: sequence.publishedIdentity)
      sequence.blocks[index] = entry.block
      sequence.publishedIdentity = entry.identity
      sequence.published += 1
    }
  }
}
