import Execution

/// The loop's thread: everything here is touched by that thread only.
///
/// A turn takes what was asked for, acts between steps, plans a step, runs it, then delivers what was chosen.
final class LoopWorker {
  private let executor: any Executor
  private let core: LoopCore
  private let limits: ExecutorLimits
  private var scheduler: Scheduler
  private var requests: [SequenceID: LiveRequest] = [:]
  private var actions: [LoopInbox.Action] = []
  private var scratch = SamplingScratch()
  private var statistics = LoopStatistics()
  private var reading = RecentRate()
  private let clock = ContinuousClock()

  init(executor: any Executor, core: LoopCore, options: EngineLoopOptions) {
    self.executor = executor
    self.core = core
    limits = executor.limits
    scheduler = Scheduler(
      limits: .init(
        maximumRows: limits.maximumBatchRows, maximumSequences: limits.maximumSequences,
        maximumLogitRows: limits.maximumLogitRows, maximumCatchUpRowsBesideDecode: max(1, options.maximumPrefillRowsBesideDecode)),
      blockCount: limits.cacheBlockCount, blockTokens: limits.cacheBlockTokens)
    statistics.totalBlocks = limits.cacheBlockCount
  }

  func run() {
    publishStatistics()
    while true {
      let news = core.takeNews()
      news.submissions.forEach(begin)
      for id in news.cancellations { _ = end(id, .success(.cancelled)) }
      actions += news.actions
      if news.stop == .now { endAll(.success(.cancelled)) { _ in true } }
      act()
      if news.stop != nil, scheduler.isEmpty, actions.isEmpty {
        publishStatistics()
        if core.endIfNothingIsNew() { return }
        continue
      }
      let plan = scheduler.next()
      guard !plan.isEmpty else {
        publishStatistics()
        core.sleep()
        continue
      }
      step(plan)
    }
  }

  // MARK: Between steps

  private func begin(_ submission: LoopInbox.Submission) {
    let request = submission.request
    let room = limits.longestSequence - request.promptIDs.count
    requests[submission.id] = LiveRequest(
      sampler: submission.sampler,
      maximumTokens: min(request.sampling.maximumTokens ?? room, room), promptScores: request.promptScores, submitted: submission.submitted,
      continuation: submission.continuation)
    scheduler.add(submission.id, promptIDs: request.promptIDs, scoresPrompt: request.promptScores != .none)
  }

  private func endAll(_ outcome: Result<FinishReason, any Error>, where isMeant: (SequenceID) -> Bool) {
    let deliveries = requests.keys.sorted().filter(isMeant).compactMap { end($0, outcome) }
    publishStatistics()
    for delivery in deliveries { delivery.handOver() }
  }

  /// Runs actions in the order in which they came, as far as they can run now.
  private func act() {
    while let action = actions.first {
      if case .finish = action.running, scheduler.isAnyUnderWay {
        scheduler.admitsNewSequences = false
        return
      }
      actions.removeFirst()
      scheduler.admitsNewSequences = true
      let outcome = action.run()
      if outcome.succeeded {
        switch action.running {
        case .finish: break
        case .keep:
          if action.forgetsPrefixes { statistics.preemptions += UInt64(scheduler.preemptSilent()) }
        case .recompute:
          statistics.preemptions += UInt64(scheduler.running.count)
          scheduler.preemptAll()
        case .end(let error):
          endAll(.failure(error)) { scheduler[$0]?.wasAdmitted == true }
        }
        if action.forgetsPrefixes { scheduler.forgetPrefixes() }
      }
      publishStatistics()
      outcome.report()
    }
  }

  // MARK: A step

  private func step(_ plan: StepPlan) {
    let started = clock.now
    noteStart(of: plan, at: started)
    var batch = scheduler.batch(for: plan)
    for (index, slice) in plan.slices.enumerated() where slice.wantsLogits && !slice.scores {
      if let wanted = requests[slice.id]?.sampler.wanted { batch.sequences[index].wanted = wanted }
    }
    var results = [Result<GeneratedToken, SamplingError>?](repeating: nil, count: plan.slices.count)
    var rows = [Int](repeating: 0, count: plan.slices.count)
    do {
      try executor.finish(try executor.submit(batch)) { index, answer in
        let slice = plan.slices[index]
        // A choice moves the sampler on, so only what was asked for counts, and once.
        guard rows[index] < slice.logitRows, case nil = results[index] else { return }
        rows[index] += 1
        if slice.scores { results[index] = score(slice, row: rows[index] - 1, from: answer) }
        if slice.wantsLogits, rows[index] == slice.logitRows, case nil = results[index] {
          results[index] = choose(for: slice.id, from: answer)
        }
      }
    } catch {
      // What the step wrote is unknown; it was written to blocks of running sequences only, which end here.
      let deliveries = scheduler.running.compactMap { end($0, .failure(error)) }
      publishStatistics()
      for delivery in deliveries { delivery.handOver() }
      return
    }
    scheduler.complete(plan)

    let ended = clock.now
    statistics.steps += 1
    statistics.stepSeconds.record(seconds(from: started, to: ended))
    if plan.slices.allSatisfy({ $0.phase == .decode }), let bytes = executor.bytesRead(batch) {
      reading.add(bytes, seconds: seconds(from: started, to: ended))
      statistics.decodeReadRate = reading.rate
    }
    var deliveries: [LiveRequest.Delivery] = []
    for (slice, result) in zip(plan.slices, results) {
      if slice.phase == .prefill { statistics.prefillTokens += UInt64(slice.positions.count) }
      if slice.scores, case .failure(let error) = result {
        if let delivery = end(slice.id, .failure(error)) { deliveries.append(delivery) }
        continue
      }
      guard slice.wantsLogits else { continue }
      if let delivery = note(result, for: slice.id, at: ended) { deliveries.append(delivery) }
    }
    publishStatistics()
    for delivery in deliveries { delivery.handOver() }
  }

  private func noteStart(of plan: StepPlan, at now: ContinuousClock.Instant) {
    statistics.preemptions += UInt64(plan.preempted.count)
    var firstRuns = 0
    for id in plan.admitted where requests[id]?.firstRan == nil {
      requests[id]?.firstRan = now
      firstRuns += 1
      statistics.queueSeconds.record(seconds(from: requests[id]?.submitted, to: now))
      statistics.cachedPromptTokens += UInt64(scheduler[id]?.cachedPromptTokens ?? 0)
    }
    if firstRuns > 0 { core.leftQueue(firstRuns) }
  }

  /// Looks up how likely the prompt token was that follows a row.
  /// - Returns: Why that is not known, if so.
  private func score(
    _ slice: StepPlan.Slice, row: Int, from answer: RowAnswer
  ) -> Result<GeneratedToken, SamplingError>? {
    guard let sequence = scheduler[slice.id], let sampler = requests[slice.id]?.sampler else { return nil }
    guard case .all(let logits) = answer else { return .failure(SamplingError(problem: .missing, generatedTokens: sampler.generatedTokens)) }
    let next = slice.positions.lowerBound + row + 1
    // Who lost its cache begins anew.
    if next == 1 { requests[slice.id]?.scores = [] }
    guard next < sequence.promptCount else { return nil }
    do {
      var token = try sampler.score(sequence.tokens[next], unsafe Span(_unsafeElements: logits.buffer), &scratch)
      token.step = statistics.steps + 1
      requests[slice.id]?.scores.append(token)
      return nil
    } catch { return .failure(error) }
  }

  private func choose(
    for id: SequenceID, from answer: RowAnswer
  ) -> Result<GeneratedToken, SamplingError>? {
    if case .withoutAnswer? = requests[id]?.promptScores { return nil }
    do {
      guard var token = try requests[id]?.sampler.next(answer, &scratch) else { return nil }
      token.step = statistics.steps + 1
      return .success(token)
    } catch { return .failure(error) }
  }

  /// Books a choice, and ends its request if it was the last.
  private func note(
    _ result: Result<GeneratedToken, SamplingError>?, for id: SequenceID, at now: ContinuousClock.Instant
  ) -> LiveRequest.Delivery? {
    guard let request = requests[id] else { return nil }
    var events: [GenerationEvent] = []
    if request.promptScores != .none, case nil = request.lastToken {
      events = [.promptScored(request.scores)]
      requests[id]?.scores = []
    }
    switch result {
    case nil where request.promptScores == .withoutAnswer:
      requests[id]?.lastStep = statistics.steps
      requests[id]?.lastToken = now
      statistics.lengthRequests += 1
      statistics.requestSeconds.record(seconds(from: request.submitted, to: now))
      return end(id, .success(.length), after: events)
    case nil:
      return end(id, .failure(SamplingError(problem: .missing, generatedTokens: request.sampler.generatedTokens)))
    case .failure(let error): return end(id, .failure(error))
    case .success(let token):
      requests[id]?.lastStep = token.step
      if let last = request.lastToken {
        statistics.timeBetweenTokens.record(seconds(from: last, to: now))
      } else {
        requests[id]?.firstToken = now
        statistics.timeToFirstToken.record(seconds(from: request.submitted, to: now))
      }
      requests[id]?.lastToken = now
      statistics.generatedTokens += 1
      if request.sampler.ends(with: token.id) {
        statistics.stoppedRequests += 1
        statistics.requestSeconds.record(seconds(from: request.submitted, to: now))
        return end(id, .success(.stop(tokenID: token.id)), after: events)
      }
      guard request.sampler.generatedTokens >= request.maximumTokens else {
        scheduler.append(token.id, to: id)
        return .init(continuation: request.continuation, events: events + [.token(token)])
      }
      statistics.lengthRequests += 1
      statistics.requestSeconds.record(seconds(from: request.submitted, to: now))
      return end(id, .success(.length), after: events + [.token(token)])
    }
  }

  // MARK: The end of a request

  /// Removes a request and frees its blocks.
  /// - Returns: Events that its stream has yet to deliver.
  private func end(
    _ id: SequenceID, _ outcome: Result<FinishReason, any Error>, after last: [GenerationEvent] = []
  ) -> LiveRequest.Delivery? {
    guard let sequence = scheduler[id], let request = requests.removeValue(forKey: id) else { return nil }
    scheduler.remove(id)
    if request.firstRan == nil { core.leftQueue(1) }
    var delivery = LiveRequest.Delivery(continuation: request.continuation)
    delivery.events = last
    switch outcome {
    case .success(let reason):
      if reason == .cancelled { statistics.cancelledRequests += 1 }
      delivery.events.append(.finished(reason, request.usage(of: sequence)))
      delivery.end = .success(())
    case .failure(let error):
      statistics.failedRequests += 1
      delivery.end = .failure(error)
    }
    return delivery
  }

  private func publishStatistics() {
    statistics.queued = scheduler.waiting.count
    statistics.running = scheduler.running.count
    statistics.pendingActions = actions.count
    statistics.freeBlocks = scheduler.blocks.availableCount
    statistics.reusableBlocks = scheduler.blocks.evictableCount
    core.publish(statistics)
  }
}
