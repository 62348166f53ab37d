package import Networks
package import Tensors

/// What back ends ask of a plan before they make its buffers.
extension Plan {
  /// Rows of the values in each buffer; nil where no operation uses one of them.
  package var slotRows: [Value.Rows?] {
    var kinds = [Value.Rows?](repeating: nil, count: slots.widths.count)
    for operation in operations {
      for value in operation.uses.reads + operation.uses.writes { kinds[slots.slot[value.index]] = values[value.index].rows }
    }
    return kinds
  }

  /// Elements of the widest input of a linear layer.
  package var widestLinearInput: Int {
    operations.map { if case .linear(let linear) = $0 { values[linear.input.index].width } else { 0 } }.max() ?? 0
  }
  /// Bytes of keys and values of one token, without padding.
  package var cacheByteCountPerToken: Int { caches.reduce(0) { $0 + $1.byteCountPerToken } }
}

extension EngineDirectory {
  /// How keys and values are kept, the same on all ranks; nil where there are none.
  package var cacheElementType: ElementType? { ranks.lazy.compactMap { $0.plan.caches.first?.elementType }.first }
}
