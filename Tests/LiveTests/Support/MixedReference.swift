import CPUBackend
import Execution
import Engines
import Inference
import SystemPackage
import Testing

/// What weights that change under an answer must make of it: its steps done again on an engine of its own, each token by
/// the version that the answer says, with the cache that the changes in between left.
final class MixedReference {
  /// A change of weights that happened: the first step after it, and whether it threw the cache away.
  struct Change {
    var firstStep: UInt64
    var recomputes: Bool
  }
  private let engine: CPUEngine
  private let versions: [String: any WeightVersion]

  /// - Parameter sources: What to make each version of; nil: the engine file's.
  init(_ path: FilePath, _ sources: [String: LiveSource?]) async throws {
    engine = try openEngine(path)
    let refitter = try await LiveRefitter(try EngineDirectory(path))
    var versions: [String: any WeightVersion] = [:]
    for (name, source) in sources {
      if let source { versions[name] = engine.makeVersion(try await refitter.make(source).ranks) } else { versions[name] = engine.fileWeights }
    }
    self.versions = versions
  }

  /// - Parameter changes: All that happened while the answer was made.
  func answer(_ prompt: [Int32], like found: Running.Answer, _ changes: [Change]) throws -> [Int32] {
    var ids: [Int32] = []
    for index in found.ids.indices {
      engine.activate(try #require(versions[found.versions[index]]))
      // Whoever lost its cache, once or several times, computes all of it with what chooses next.
      let isAnew =
        index == 0
        || changes.contains {
          $0.recomputes && $0.firstStep > found.steps[index - 1] && $0.firstStep <= found.steps[index]
        }
      if isAnew {
        var next = try Reference.step(engine, prompt, at: 0, .prefill)
        for (place, token) in ids.enumerated() { next = try Reference.step(engine, [token], at: prompt.count + place, .decode) }
        ids.append(next)
      } else {
        ids.append(try Reference.step(engine, [ids[index - 1]], at: prompt.count + index - 1, .decode))
      }
    }
    return ids
  }
}
