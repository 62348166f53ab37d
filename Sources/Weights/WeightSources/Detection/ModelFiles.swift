import Files
import JSON
import SystemPackage

/// Which safetensors files of a Hugging Face directory are its weights, by all that are there.
enum ModelFiles: Equatable {
  /// One file.
  case single(String)
  /// An index that says which tensor is in which file.
  case index(String)
  /// A complete set of parts without an index.
  case parts([String])

  static let single = "model.safetensors"
  static let index = "model.safetensors.index.json"

  /// What was found, with what there is to say of it.
  struct Choice: Equatable {
    let files: ModelFiles
    /// A file that was taken although it has not the usual name.
    var unusual: String?
    /// Whether `config.json` names it.
    var isNamed = false
  }
  enum Finding: Equatable {
    case found(Choice)
    /// Several sets of weights, none of which has the usual name.
    case several([String])
    /// Some parts of a set, and which are missing.
    case incomplete(present: [String], missing: [String])
    case none
  }

  /// - Parameters:
  ///   - files: Regular files of the directory.
  ///   - config: `config.json`, where it is there and can be read.
  static func find(_ files: [String], config: JSONValue?) -> Finding {
    let names = Set(files)
    // transformers' own key for weights under another name.
    if let named = config?["transformers_weights"]?.string, names.contains(named) {
      if named.hasSuffix(".safetensors.index.json") { return .found(Choice(files: .index(named), isNamed: true)) }
      if named.hasSuffix(".safetensors") { return .found(Choice(files: .single(named), isNamed: true)) }
    }
    if names.contains(single) { return .found(Choice(files: .single(single))) }
    if names.contains(index) { return .found(Choice(files: .index(index))) }
    let candidates = candidates(files)
    let indices = files.filter { $0.hasPrefix("model.") && $0.hasSuffix(".json") && $0.contains("safetensors") && $0.contains(".index.") }
    var sets: [String: [PartName]] = [:]
    var singles: [String] = []
    for name in candidates {
      if let part = PartName(name, ending: ".safetensors") { sets["\(part.prefix) \(part.count)", default: []].append(part) } else { singles.append(name) }
    }
    if indices.count == 1, singles.isEmpty { return .found(Choice(files: .index(indices[0]), unusual: indices[0])) }
    if indices.isEmpty, let set = sets.values.first, sets.count == 1, singles.isEmpty {
      let missing = set[0].all.filter { !names.contains($0) }
      guard missing.isEmpty else { return .incomplete(present: set.map(\.name).sorted(), missing: missing) }
      return .found(Choice(files: .parts(set[0].all)))
    }
    if sets.isEmpty, indices.isEmpty, let only = singles.first, singles.count == 1 {
      return .found(Choice(files: .single(only), unusual: only))
    }
    let several = singles + indices + (indices.isEmpty ? sets.values.compactMap { $0.first?.name }.sorted() : [])
    return several.isEmpty ? .none : .several(several)
  }

  /// What may be weights of the model.
  static func candidates(_ files: [String]) -> [String] { files.filter(isCandidate) }

  /// Not weights of the model in this format: adapters, shards of other commands, files under the author's own names,
  /// what training keeps.
  static func isCandidate(_ name: String) -> Bool {
    // mlx-lm numbers the states of an adapter in training: 0000100_adapters.safetensors.
    guard name.hasSuffix(".safetensors"), !name.hasSuffix("adapters.safetensors") else { return false }
    return !["adapter", "consolidated", "rank", "optimizer", "scheduler", "embeddings", "mmproj"].contains { name.hasPrefix($0) }
  }
}
