/// Bars tokens that would end the answer before it is long enough.
package enum MinimumTokens {
  package static func apply(barring ids: [Int32], to logits: inout MutableSpan<Float>) {
    for id in ids { logits[Int(id)] = -.infinity }
  }
}
