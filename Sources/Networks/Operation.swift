/// One step of a network or plan.
///
/// Widths below are elements per row; `t` is the tensor-parallel size. Every operation works on all rows of its
/// input values.
public enum Operation: Sendable, Hashable {
  /// `output[r] = weight[token[r] - firstToken] * scale`; a token outside the table's rows gives zeros.
  case embed(weight: String, firstToken: Int, scale: Float, output: ValueID)
  /// `output = input / sqrt(mean(input²) + epsilon) * weight` (arXiv:1910.07467).
  case rmsNorm(input: ValueID, weight: String, epsilon: Float, output: ValueID)
  /// `residual += delta`, then `output = rmsNorm(residual)`: what fusion makes of `add` and `rmsNorm`.
  case addRMSNorm(residual: ValueID, delta: ValueID, weight: String, epsilon: Float, output: ValueID)
  /// `output = input · weightᵀ + bias`; weight `[output width, input width]`.
  case linear(input: ValueID, weight: String, bias: String?, output: ValueID)
  /// Rotary embedding, cache write, causal attention. `qkv` is `[heads + 2·keyValueHeads] · headSize` wide.
  case attention(Attention)
  /// `output = activation(activated) * factor`, before fusion.
  case activatedProduct(activated: ValueID, factor: ValueID, activation: Activation, output: ValueID)
  /// `input` holds `[factor ; activated]`; `output[i] = activation(input[I + i]) * input[i]`, I the output width.
  case gatedActivation(input: ValueID, activation: Activation, output: ValueID)
  /// `target += value`.
  case add(target: ValueID, value: ValueID)
  /// Keeps the rows of sequences that want logits.
  case select(input: ValueID, output: ValueID)
  /// Sums over the tensor-parallel group, in place.
  case allReduce(value: ValueID)
  /// Puts the group's rows beside each other in rank order; `output` is `t` times as wide.
  case allGather(input: ValueID, output: ValueID)
  /// Hands a value to the next pipeline stage.
  case send(value: ValueID)
  /// Takes a value from the previous pipeline stage.
  case receive(value: ValueID)

  public struct Attention: Sendable, Hashable {
    public var qkv: ValueID
    public var output: ValueID
    /// Index of the layer within this rank's key-value cache.
    public var layer: Int
    public var heads: Int
    public var keyValueHeads: Int
    public var headSize: Int
    /// Factor of the scores, usually 1/√headSize.
    public var scale: Float
    /// RMS norms of every query head and every key head before they are turned (arXiv:2302.05442, with RMSNorm); nil for none.
    public var norms: HeadNorms?

    public init(
      qkv: ValueID, output: ValueID, layer: Int, heads: Int, keyValueHeads: Int, headSize: Int, scale: Float, norms: HeadNorms? = nil
    ) {
      self.norms = norms
      self.qkv = qkv
      self.output = output
      self.layer = layer
      self.heads = heads
      self.keyValueHeads = keyValueHeads
      self.headSize = headSize
      self.scale = scale
    }
  }
}

/// `head = head / sqrt(mean(head²) + epsilon) * weight`; weights `[headSize]`, the same for all heads.
public struct HeadNorms: Sendable, Hashable {
  public var queries: String
  public var keys: String
  public var epsilon: Float
  public init(queries: String, keys: String, epsilon: Float) {
    self.queries = queries
    self.keys = keys
    self.epsilon = epsilon
  }
}

public enum Activation: String, Sendable, Hashable, CaseIterable {
  case silu, gelu
  /// The tanh approximation (`gelu_new`, `gelu_pytorch_tanh`).
  case geluTanh
  case relu
}

extension Operation {
  /// Values read, and values written (one both read and written is in both).
  public var uses: (reads: [ValueID], writes: [ValueID]) {
    switch self {
    case .embed(_, _, _, let output): ([], [output])
    case .rmsNorm(let input, _, _, let output): ([input], [output])
    case .addRMSNorm(let residual, let delta, _, _, let output): ([residual, delta], [residual, output])
    case .linear(let input, _, _, let output): ([input], [output])
    case .attention(let attention): ([attention.qkv], [attention.output])
    case .activatedProduct(let activated, let factor, _, let output): ([activated, factor], [output])
    case .gatedActivation(let input, _, let output): ([input], [output])
    case .add(let target, let value): ([target, value], [target])
    case .select(let input, let output): ([input], [output])
    case .allReduce(let value): ([value], [value])
    case .allGather(let input, let output): ([input], [output])
    case .send(let value): ([value], [])
    case .receive(let value): ([], [value])
    }
  }

  public var weightNames: [String] {
    switch self {
    case .embed(let weight, _, _, _), .rmsNorm(_, let weight, _, _), .addRMSNorm(_, _, let weight, _, _): [weight]
    case .linear(_, let weight, let bias, _): [weight] + (bias.map { [$0] } ?? [])
    case .attention(let attention): attention.norms.map { [$0.queries, $0.keys] } ?? []
    default: []
    }
  }
}
