public import Execution

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

extension LogitsWanted {
  /// Hands out exactly what is wanted of a row's logits, and no more, as a device does that chooses for itself.
  public func answer(from logits: [Float], _ body: (RowAnswer) -> Void) {
    let bad = logits.firstIndex { $0.isNaN || $0 == .infinity }
    switch self {
    case .all:
      var values = logits
      unsafe values.withUnsafeMutableBufferPointer { body(.all(unsafe Logits($0))) }
    case .token:
      let best = logits.max() ?? 0
      body(.token(bad.map { ~Int32($0) } ?? Int32(logits.firstIndex(of: best) ?? 0)))
    case .best(let count):
      if let bad { return body(.best([.init(id: Int32(bad), logProbability: .nan)])) }
      let sum = log(logits.reduce(0.0) { $0 + exp(Double($1)) })
      let order = logits.indices.sorted { (-logits[$0], $0) < (-logits[$1], $1) }
      body(.best(order.prefix(count).map { .init(id: Int32($0), logProbability: Float(Double(logits[$0]) - sum)) }))
    }
  }
}
