import Families
import Tensors

/// A model's tensors under the names that the family gives them, where the file was saved from the model without its
/// head (`layers.0…` for `model.layers.0…`) or from one inside another of its kind (`model.model.layers.0…`).
///
/// transformers does the same when it loads such a file: a name that the model does not have gets or loses `model.`
/// where that makes it one of the model's.
final class BaseNames: NamedTensors {
  private static let prefix = "model."

  let names: [String]
  private let base: any NamedTensors
  /// By the family's name: the file's.
  private let own: [String: String]

  /// nil where no name changes.
  ///
  /// - Throws: ``WeightSourceError`` where two tensors would have one name.
  init?(_ tensors: any NamedTensors, family: ModelFamily, shape: ModelShape) throws(WeightSourceError) {
    var wanted: Set<String> = []
    for rule in family.tensors {
      for layer in 0..<(rule.place == .layer ? shape.layerCount : 1) where rule.exists(inLayer: layer, of: shape) {
        for part in rule.parts {
          for expert in 0..<(rule.isStack ? shape.experts?.count ?? 0 : 1) { wanted.insert(part.huggingFace.inLayer(layer).ofExpert(expert)) }
        }
      }
    }
    var own: [String: String] = [:]
    var names: [String] = []
    for name in tensors.names {
      var renamed = name
      if !wanted.contains(name) {
        if let text = family.wholeModels.lazy.compactMap({ $0.textName(name) }).first(where: wanted.contains) {
          renamed = text
        } else if wanted.contains(Self.prefix + name) {
          renamed = Self.prefix + name
        } else if name.hasPrefix(Self.prefix), wanted.contains(String(name.dropFirst(Self.prefix.count))) {
          renamed = String(name.dropFirst(Self.prefix.count))
        }
      }
      if let other = own.updateValue(name, forKey: renamed) {
        throw WeightSourceError(tensors.origin, .other("'\(NameSummary([other]))' and '\(NameSummary([name]))' both stand for '\(renamed)'. Take out the one that is not the model's."))
      }
      names.append(renamed)
    }
    guard names != tensors.names else { return nil }
    (self.names, self.own, base) = (names, own, tensors)
  }

  /// How many tensors the file calls otherwise, for a warning.
  var renamedCount: Int { own.count { $0.key != $0.value } }
  /// Whether they are as in a class of models around this one, all of them.
  func isWithin(_ family: ModelFamily) -> Bool {
    own.allSatisfy { name, stored in name == stored || family.wholeModels.contains { $0.textName(stored) == name } }
  }
  /// One of them, as the file calls it.
  var example: String { own.filter { $0.key != $0.value }.values.min() ?? "" }

  var origin: String { base.origin }
  func spelling(of name: String) -> String { own[name] ?? name }
  func description(of name: String) -> TensorDescription? { own[name].flatMap { base.description(of: $0) } }
  func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let stored = own[name] else { throw WeightSourceError(origin, .missing(names: [name])) }
    try unsafe base.read(stored, rows: rows, into: destination)
  }
}
