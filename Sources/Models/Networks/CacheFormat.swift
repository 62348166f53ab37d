public import Tensors

/// Keys and values of the attentions of one kind on one rank: layers whose heads are of one number and size.
public struct CacheFormat: Sendable, Hashable {
  /// Attentions of this rank that keep keys and values in it; ``Attention/layer`` is below it.
  public var layers: Int
  /// Of this rank: the model's own number, or its share of them where heads are spread over tensor-parallel ranks.
  public var keyValueHeads: Int
  /// Elements of one key, and of one value.
  public var headSize: Int
  /// float32 or bfloat16: a plan's check refuses others, and caches of several types in one plan.
  public var elementType: ElementType

  /// Checks nothing: a plan's check bounds all four.
  public init(layers: Int, keyValueHeads: Int, headSize: Int, elementType: ElementType) {
    self.layers = layers
    self.keyValueHeads = keyValueHeads
    self.headSize = headSize
    self.elementType = elementType
  }

  /// Bytes of keys and values of one token, in all layers.
  public var byteCountPerToken: Int { 2 * layers * keyValueHeads * headSize * elementType.bitWidth / 8 }
}

extension Network {
  /// Gives every attention a cache for heads and windows as its own, and a layer in it, in the order of operations.
  public mutating func assignCaches(_ elementType: ElementType) -> [CacheFormat] {
    struct Kind: Hashable {
      var keyValueHeads: Int
      var headSize: Int
      var window: Int?
    }
    var indices: [Kind: Int] = [:]
    var caches: [CacheFormat] = []
    for place in operations.indices {
      guard case .attention(var attention) = operations[place] else { continue }
      let kind = Kind(keyValueHeads: attention.keyValueHeads, headSize: attention.headSize, window: attention.window)
      let index = indices[kind] ?? caches.count
      if indices[kind] == nil {
        indices[kind] = index
        caches.append(CacheFormat(layers: 0, keyValueHeads: kind.keyValueHeads, headSize: kind.headSize, elementType: elementType))
      }
      (attention.cache, attention.layer) = (index, caches[index].layers)
      caches[index].layers += 1
      operations[place] = .attention(attention)
    }
    return caches
  }
}
