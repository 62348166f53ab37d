import Checkpoints
import Networks

/// What ranks of one engine trust each other with.
///
/// A rank sums into the buffers of its group, copies from those of its neighbours, and waits for all of them. So plans
/// that are sound alone may still lead each other out of their memory, or into waiting for ever.
extension EngineDirectory {
  /// Why rank files of these plans, by rank, cannot run together; empty where they can.
  static func disagreements(_ plans: [Plan]) -> [String] {
    guard let first = plans.first else { return [] }
    var found: [String] = []
    for plan in plans.dropFirst() {
      func compare<Fact: Equatable>(_ what: String, _ fact: (Plan) -> Fact) {
        guard fact(plan) != fact(first) else { return }
        found.append("rank \(plan.rank) has \(what) \(fact(plan)), rank \(first.rank) has \(fact(first))")
      }
      compare("the target", \.target)
      compare("tp_size", \.tensorParallel)
      compare("pp_size", \.pipelineParallel)
      compare("limits", \.limits.text)
      compare("the element type", \.elementType.rawValue)
      if let type = plan.caches.first?.elementType, let other = first.caches.first?.elementType, type != other {
        found.append("rank \(plan.rank) has a cache of \(type.rawValue), rank \(first.rank) has one of \(other.rawValue)")
      }
      compare("vocab_size", \.vocabularySize)
      if plan.rotaries != first.rotaries { found.append("rank \(plan.rank) and rank \(first.rank) turn positions differently") }
    }
    guard found.isEmpty else { return found }
    let group = first.tensorParallel
    guard plans.count == group * first.pipelineParallel else { return ["\(plans.count) rank(s) are not \(group) × \(first.pipelineParallel)"] }
    for stage in 0..<first.pipelineParallel {
      let leader = plans[stage * group]
      for plan in plans[stage * group..<(stage + 1) * group] where plan.exchanges != leader.exchanges {
        found.append("rank \(plan.rank) exchanges other values than rank \(leader.rank), in the same pipeline stage")
      }
      guard stage > 0 else { continue }
      let sent = plans[(stage - 1) * group].exchanges.filter { $0.kind == .send }.map(\.size)
      let received = leader.exchanges.filter { $0.kind == .receive }.map(\.size)
      if sent != received {
        found.append("rank \(leader.rank) does not receive what rank \(leader.rank - group), in the pipeline stage before it, sends")
      }
    }
    return found
  }

  /// Compares all ranks with each other and with `config.json`.
  ///
  /// - Throws: ``EngineError`` with the reasons.
  static func checkAgreement(_ ranks: [EngineFile], _ config: CheckpointConfig) throws(EngineError) {
    guard let first = ranks.first else { return }
    var reasons = disagreements(ranks.map(\.plan))
    // An adapter is shared out over config.json's layers, with tables for all of them.
    let layers = stride(from: 0, to: ranks.count, by: first.plan.tensorParallel).reduce(0) { $0 + ranks[$1].plan.cacheLayerCount }
    if reasons.isEmpty, layers != config.layerCount {
      reasons.append("config.json has \(config.layerCount) layers, the plans of all ranks hold \(layers)")
    }
    guard !reasons.isEmpty else { return }
    let told = reasons.prefix(3).joined(separator: "; ") + (reasons.count > 3 ? "; and \(reasons.count - 3) more" : "")
    throw EngineError(first.path.removingLastComponent(), .invalidPlan(reason: "its rank files are not of one engine: \(told)"))
  }
}

extension PlanLimits {
  fileprivate var text: String {
    "max_batch_size \(batchSize), max_input_len \(inputLength), max_seq_len \(sequenceLength), max_num_tokens \(tokens)"
  }
}

/// One call in which ranks meet.
private struct Exchange: Equatable {
  enum Kind { case allReduce, allGather, send, receive }
  struct Size: Equatable {
    var width: Int
    var rows: Value.Rows
  }
  var kind: Kind
  /// Of what each rank brings.
  var size: Size
}

extension Plan {
  /// In the order in which they are made.
  fileprivate var exchanges: [Exchange] {
    operations.compactMap { operation in
      let (kind, value): (Exchange.Kind, ValueID)
      switch operation {
      case .allReduce(let reduced): (kind, value) = (.allReduce, reduced.value)
      case .allGather(let gathered): (kind, value) = (.allGather, gathered.input)
      case .send(let sent): (kind, value) = (.send, sent.value)
      case .receive(let received): (kind, value) = (.receive, received.value)
      default: return nil
      }
      return Exchange(kind: kind, size: .init(width: values[value.index].width, rows: values[value.index].rows))
    }
  }
}
