import CPUKernels
import Engines
import Networks
import OrderedCollections
import Schemes
import Tensors

/// How far the kernels go. A kernel checks nothing: what is not refused here is computed.
enum CPULimits {
  /// Ranks are threads of one process, with a team each.
  static let rankCount = 1024

  /// See ``PlanTarget/obstacles(to:)``.
  static func obstacles(to plan: Plan) -> [String] {
    var found: [String] = []
    func limit(_ what: String, _ value: Int, _ most: Int) {
      if value > most { found.append("\(what) is \(value), and the CPU's kernels go to \(most)") }
    }
    // The attention's tiles have rows of this size on the stack.
    limit("head_size", plan.caches.map(\.headSize).max() ?? 0, Int(DK_MAX_HEAD_DIM))
    // Token ids are 32 bits wide.
    limit("vocab_size", plan.vocabularySize, Int(Int32.max))
    limit("the number of ranks", plan.tensorParallel * plan.pipelineParallel, rankCount)
    for case .norm(let norm) in plan.operations {
      guard let bias = norm.bias, plan.weights[bias]?.scheme != plan.weights[norm.weight]?.scheme else { continue }
      found.append("the CPU's kernels read weight and bias of a norm in one type, and \"\(bias)\" has another")
      break
    }
    for weight in plan.weights.values where weight.layout != .rows && layout(weight.scheme) != weight.layout {
      found.append("the CPU's kernels read no \(weight.scheme.name) weights in \(weight.layout.rawValue)")
      break
    }
    return found
  }

  static func layout(_ scheme: NumberScheme) -> WeightLayout? {
    switch scheme {
    case .plain(.bfloat16): .panel16x2
    case .plain(.float16), .plain(.float32): .panel16
    case .plain: nil
    case .int8PerOutput: .panel16x4
    }
  }
}
