import Files

/// Lets one thread sleep until another has something for it. A wake that comes first is not lost.
final class WakeSignal: Sendable {
  private let isSet = Monitor(false)

  func wake() { isSet.change { $0 = true } }

  func wait() {
    isSet.wait { isSet -> Void? in
      guard isSet else { return nil }
      isSet = false
      return ()
    }
  }
}
