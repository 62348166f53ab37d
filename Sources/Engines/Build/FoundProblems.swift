import Synchronization

/// Problems as worker threads find them.
final class FoundProblems: Sendable {
  private let problems = Mutex<[RefitProblem]>([])
  /// The same problem found twice, in two parts of a weight, is one.
  func add(_ problem: RefitProblem) {
    problems.withLock { if !$0.contains(problem) { $0.append(problem) } }
  }
  /// In an order that does not depend on the threads.
  var sorted: [RefitProblem] { problems.withLock { $0.sorted { $0.detail < $1.detail } } }
}
