import EngineFixtures
import Tensors

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A Llama in doubles, as plainly as it can be written: what an engine must agree with.
struct ReferenceModel {
  let model: SmallModel
  let tensors: [String: Matrix]
  /// How keys and values are kept.
  let cache: ElementType

  /// Of the unsharded model (`model.tensorParallel` and `pipelineParallel` are taken as 1).
  ///
  /// - Parameter cache: nil: as engines keep them where nobody says otherwise.
  init(_ model: SmallModel, seed: UInt64, cache: ElementType? = nil) {
    self.cache = cache ?? (model.type == .float32 ? .float32 : .bfloat16)
    var whole = model
    whole.tensorParallel = 1
    whole.pipelineParallel = 1
    whole.parallelEmbedding = nil
    self.model = whole
    tensors = Dictionary(uniqueKeysWithValues: whole.tensors(rank: 0, seed: seed).map { ($0.name, $0.matrix.rounded(model.type)) })
  }

  private func vector(_ name: String) -> [Double] { tensors[name]!.values.map(Double.init) }
  private func linear(_ x: [Double], _ module: String) -> [Double] {
    let weight = tensors[module + ".weight"]!
    let bias = model.biases ? tensors[module + ".bias"].map { $0.values.map(Double.init) } : nil
    return (0..<weight.rows).map { (row: Int) -> Double in
      var sum: Double = bias?[row] ?? 0
      for column in 0..<weight.columns { sum += Double(weight.values[row * weight.columns + column]) * x[column] }
      return sum
    }
  }
  private func norm(_ x: [Double], _ name: String) -> [Double] {
    let squares = x.reduce(0.0) { $0 + $1 * $1 }
    let scale = 1 / (squares / Double(x.count) + 1e-5).squareRoot()
    return zip(x, vector(name + ".weight")).map { (a: Double, b: Double) -> Double in a * scale * b }
  }
  private func turn(_ head: [Double], _ position: Int) -> [Double] {
    var result = head
    let half = head.count / 2
    for plane in 0..<half {
      let angle = Double(position) * pow(10000, -2 * Double(plane) / Double(head.count))
      result[plane] = head[plane] * cos(angle) - head[plane + half] * sin(angle)
      result[plane + half] = head[plane + half] * cos(angle) + head[plane] * sin(angle)
    }
    return result
  }

  private func kept(_ head: [Double]) -> [Double] {
    guard cache != .float32 else { return head }
    return Matrix(rows: 1, columns: head.count, values: head.map(Float.init)).rounded(cache).values.map(Double.init)
  }

  /// Logits `[tokens, vocabulary]` of every position.
  ///
  /// - Parameter isParallel: The MLP reads what attention reads, and both results are added: such layers have one norm.
  func logits(_ tokens: [Int32], isParallel: Bool = false) -> [[Double]] {
    var states = tokens.map { token in
      (0..<model.hidden).map { Double(tensors["transformer.vocab_embedding.weight"]!.values[Int(token) * model.hidden + $0]) }
    }
    let (heads, keyValueHeads, size) = (model.heads, model.keyValueHeads, model.headSize)
    for layer in 0..<model.layers {
      let prefix = "transformer.layers.\(layer)."
      let normed = states.map { norm($0, prefix + "input_layernorm") }
      let qkv = normed.map { linear($0, prefix + "attention.qkv") }
      func head(_ row: Int, _ index: Int) -> [Double] { Array(qkv[row][index * size..<(index + 1) * size]) }
      for row in states.indices {
        var attended: [Double] = []
        for h in 0..<heads {
          let keyHead = heads + h / (heads / keyValueHeads)
          let query = turn(head(row, h), row)
          let scores = (0...row).map { (past: Int) -> Double in
            let key = kept(turn(head(past, keyHead), past))
            var sum = 0.0
            for d in 0..<size { sum += query[d] * key[d] }
            return sum / Double(size).squareRoot()
          }
          let top = scores.max()!
          let weights = scores.map { exp($0 - top) }
          let sum = weights.reduce(0, +)
          let values = (0...row).map { kept(head($0, keyHead + keyValueHeads)) }
          for d in 0..<size {
            var mixed = 0.0
            for past in 0...row { mixed += weights[past] / sum * values[past][d] }
            attended.append(mixed)
          }
        }
        states[row] = zip(states[row], linear(attended, prefix + "attention.dense")).map(+)
      }
      for row in states.indices {
        let x = isParallel ? normed[row] : norm(states[row], prefix + "post_layernorm")
        let (fc, gate) = (linear(x, prefix + "mlp.fc"), linear(x, prefix + "mlp.gate"))
        let product = zip(fc, gate).map { (a: Double, b: Double) -> Double in a / (1 + exp(-a)) * b }
        states[row] = zip(states[row], linear(product, prefix + "mlp.proj")).map(+)
      }
    }
    return states.map { linear(norm($0, "transformer.ln_f"), "lm_head") }
  }
}
