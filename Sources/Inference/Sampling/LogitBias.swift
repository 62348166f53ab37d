/// Adds the request's own numbers to logits.
package enum LogitBias {
  package static func apply(_ bias: [Int32: Double], to logits: inout MutableSpan<Float>) {
    for (id, value) in bias { logits[Int(id)] += Float(value) }
  }
}
