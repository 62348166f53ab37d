import Synchronization

/// Problems as worker threads find them.
final class FoundProblems: Sendable {
  private let problems = Mutex<[RefitProblem]>([])
  func add(_ problem: RefitProblem) { problems.withLock { $0.append(problem) } }
  /// In an order that does not depend on the threads.
  var sorted: [RefitProblem] { problems.withLock { $0.sorted { $0.detail < $1.detail } } }
}
