public import Testing

/// Turns at something that a process has once: who takes one waits until the one before has ended.
public actor Turns {
  /// The driver of NVIDIA's cards, or what stands in for it.
  public static let driver = Turns()

  private var isTaken = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  private func begin() async {
    if isTaken { await withCheckedContinuation { waiting.append($0) } } else { isTaken = true }
  }
  private func end() {
    if waiting.isEmpty { isTaken = false } else { waiting.removeFirst().resume() }
  }

  public nonisolated func take(_ body: () async throws -> Void) async throws {
    await begin()
    do { try await body() } catch {
      await end()
      throw error
    }
    await end()
  }
}

/// Tests of suites with this trait run one at a time, whatever suite and module they are in.
public struct TakingTurns: SuiteTrait, TestTrait, TestScoping {
  let turns: Turns
  public var isRecursive: Bool { true }

  public func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
    try await turns.take(function)
  }
}

extension Trait where Self == TakingTurns {
  public static func takingTurns(at turns: Turns) -> Self { TakingTurns(turns: turns) }
}
