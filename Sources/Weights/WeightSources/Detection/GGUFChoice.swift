import Files
import SystemPackage
import Tensors

/// What the GGUF files of one directory are, by the beginning of their metadata.
struct GGUFChoice {
  private(set) var models: [String] = []
  private(set) var adapters: [String] = []
  /// Names, and what is wrong with each.
  private(set) var damaged: [(name: String, reason: String)] = []
  private let place: String
  /// More than anybody keeps in one directory.
  private static let limit = 1000

  /// - Throws: ``WeightSourceError`` where there are too many.
  init(_ names: [String], in directory: FilePath) throws(WeightSourceError) {
    place = directory.string
    guard names.count <= Self.limit else {
      throw WeightSourceError(directory.string, .found("the directory holds \(names.count) GGUF files", remedy: "Name one of the files."))
    }
    for name in names {
      do {
        switch try GGUFHeader.kind(of: ReadableFile(directory.appending(name))) {
        case .model: models.append(name)
        case .adapter: adapters.append(name)
        case .companion: break
        }
      } catch {
        var reason = "\(error)"
        let path = "\(directory.appending(name)): "
        if reason.hasPrefix(path) { reason.removeFirst(path.count) }
        damaged.append((name, reason))
      }
    }
  }

  var unreadable: String? {
    damaged.first.map { first in
      damaged.count == 1 ? "\(first.name) cannot be read (\(first.reason))" : "\(NameSummary(damaged.map(\.name), limit: 6)) cannot be read"
    }
  }

  /// Where a model was chosen.
  ///
  /// - Parameter other: The file of the model that was, where that is none of these.
  func warnings(beside other: String?) -> [SourceWarning] {
    let models = other == nil ? [] : self.models
    return models.prefix(10).map { SourceWarning($0, in: place, "is a model, too, and was left out: \(other ?? "") counts. Name the file to use it") }
      + adapters.prefix(10).map { SourceWarning($0, in: place, "is an adapter beside the model and was left out; trtllm-refit --lora_dir puts it on an engine of the model") } + damage
  }
  var damage: [SourceWarning] {
    damaged.prefix(10).map { SourceWarning($0.name, in: place, "was left out, for it cannot be read: \(SourceWarning.shortened($0.reason, to: 120))") }
  }
}
