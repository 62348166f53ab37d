public import Networks

/// Activation buffers: values whose lifetimes do not meet share one.
public struct BufferSlots: Sendable, Hashable {
  /// Index into `widths` for each value.
  public var slot: [Int]
  /// Elements per row of each buffer.
  public var widths: [Int]

  /// Checks nothing; a plan's check does.
  public init(slot: [Int], widths: [Int]) {
    self.slot = slot
    self.widths = widths
  }

  /// First fit in order of birth. A value lives from its first writer to its last reader, both included, so an
  /// operation's outputs never share a buffer with its inputs.
  public init(values: [Value], operations: [Operation]) {
    var lastUse = [Int](repeating: -1, count: values.count)
    for (index, operation) in operations.enumerated() {
      for value in operation.uses.reads + operation.uses.writes { lastUse[value.index] = index }
    }
    slot = [Int](repeating: -1, count: values.count)
    widths = []
    var rows: [Value.Rows] = []
    var busyUntil: [Int] = []
    for (index, operation) in operations.enumerated() {
      for value in operation.uses.writes where slot[value.index] < 0 {
        let needed = values[value.index]
        let free = widths.indices.first { busyUntil[$0] < index && rows[$0] == needed.rows }
        let chosen = free ?? widths.count
        if free == nil {
          widths.append(0)
          busyUntil.append(0)
          rows.append(needed.rows)
        }
        widths[chosen] = max(widths[chosen], needed.width)
        busyUntil[chosen] = lastUse[value.index]
        slot[value.index] = chosen
      }
    }
    // What fusion has left over: no operation reads or writes it, and a back end gives it no memory.
    for index in slot.indices where slot[index] < 0 {
      slot[index] = widths.count
      widths.append(values[index].width)
      rows.append(values[index].rows)
      busyUntil.append(0)
    }
  }
}
