import CUDADriver
import Engines
import Execution
import Networks
import Synchronization

/// One version of an engine's weights on the card: every operation knows its addresses.
///
/// Costs no memory but for what was made for it: weights that it does not replace are those of the engine's file, and those that
/// another version has too are that version's.
@safe final class CUDAWeights: WeightVersion, Sendable {
  let steps: [ResolvedStep]
  let made: [String: MadeWeight]
  private let file: FileWeights
  /// Steps that were recorded with these addresses.
  private let graphs = Mutex<[StepShape: Graph]>([:])

  init(_ plan: Plan, file: FileWeights, made: [String: MadeWeight] = [:]) {
    self.file = file
    self.made = made
    steps = ResolvedStep.resolve(plan) { made[$0]?.address ?? file.address($0) }
  }

  subscript(_ shape: StepShape) -> Graph? { graphs.withLock { $0[shape] } }
  /// - Returns: What is kept: the first that came.
  func keep(_ graph: Graph, for shape: StepShape) -> Graph {
    graphs.withLock { graphs in
      if let known = graphs[shape] { return known }
      graphs[shape] = graph
      return graph
    }
  }
}

/// A weight that was made for a version, on the card.
struct MadeWeight: Sendable {
  /// What it was made in, on the card or by the processor: where another version has this very memory, it has these bytes.
  let host: WeightMemory
  /// Of what was made with it.
  let memory: DeviceMemory
  let offset: Int
  var address: dk_cuda_pointer { memory.address + UInt64(offset) }
}

/// What launches of a decode step depend on, beside what is copied to the card.
struct StepShape: Hashable {
  var rows: Int
  /// Of the longest sequence, rounded up.
  var splits: Int
}
