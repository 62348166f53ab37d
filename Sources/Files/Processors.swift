import CSystemCalls

/// The processors that this process may use: what `taskset` and cpusets leave it.
public enum Processors {
  public static let count = Int(drydock_processor_count())
}
