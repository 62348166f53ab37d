package import Checkpoints

/// Where a layer norms what goes through it.
package enum NormPlaces: Sendable {
  /// Before attention and before the MLP.
  case before
  /// Before both, and what they give before it is added to the residual.
  case around
  /// Only what they give, before it is added (arXiv:2501.00656).
  case after
}

/// Norms of queries and keys before they are turned (`qk_layernorm`).
package enum HeadNorms: Sendable {
  case none
  /// Of every head by itself, with the same weight for all.
  case each
  /// Of all query heads of a row together, and of all key heads.
  case together
}

/// Which layers turn queries and keys by their positions.
package enum RotaryLayers: Sendable {
  case all
  /// Those with a window, in a model that has a window; all in one that has none.
  case windowed
  /// Those that `no_rope_layers` has no 0 for; where nothing says, all but every so-manieth.
  case listed(interval: Int)

  /// - Parameter interval: At least 1.
  package static func turned(interval: Int, layerCount: Int) -> [Bool] { (1...max(1, layerCount)).map { $0 % interval != 0 } }
}

/// A number that a class's configuration multiplies something in the network by.
package struct Multiplier: Sendable {
  package enum Place: Sendable, Hashable {
    case embedding
    /// Of attention, in place of 1/√headSize.
    case scores
    /// Of what attention and MLP give, before it is added to the residual.
    case residual
    case logits
  }
  package let place: Place
  /// Member of a Hugging Face configuration, 1 where nothing says.
  package let key: String
  /// Key of a GGUF file, where 0 and nothing mean none.
  package let gguf: String
  /// Whether it divides. A GGUF file must have it then.
  package var divides = false
}

extension DecoderStyle {
  /// Why ranks cannot share a layer, whatever its sizes are; nil where they can.
  package func sharingProblem(_ mapping: Mapping) -> String? {
    guard headNorms == .together, mapping.tensorParallel > 1 else { return nil }
    return "a norm over all heads needs the whole row of queries or keys on one rank, so layers cannot be split over "
      + "\(mapping.tensorParallel) tensor-parallel ranks. Use --tp_size 1, with --pp_size to spread the layers."
  }
}
