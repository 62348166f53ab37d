import Synchronization

/// Which weights chose the tokens of which engine steps, by name.
///
/// Written between two steps by whoever changes weights; read by everyone who delivers tokens.
public final class WeightVersionLog: Sendable {
  private struct Entry: Sendable {
    /// The first step with these weights.
    var step: UInt64
    var version: String
  }
  private let entries: Mutex<[Entry]>

  /// - Parameter version: The weights of all steps until the first change.
  public init(_ version: String) { entries = Mutex([Entry(step: 0, version: version)]) }

  /// What chooses tokens now.
  public var current: String { entries.withLock { $0[$0.count - 1].version } }

  /// What chose the token of a step (``GeneratedToken/step``).
  public func version(ofStep step: UInt64) -> String {
    entries.withLock { entries in (entries.last { $0.step <= step } ?? entries[0]).version }
  }

  /// Notes a change; to be called between steps, with the next step's number.
  package func change(to version: String, fromStep step: UInt64) {
    entries.withLock { entries in
      entries.append(Entry(step: step, version: version))
      // Tokens are delivered soon after they were chosen: nobody asks for what is so long ago.
      if entries.count > 1 << 16 { entries.removeFirst(1 << 15) }
    }
  }
}
