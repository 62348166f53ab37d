import Files
import JSON
import SystemPackage

/// Everything in a directory that tells what it holds. No weights are read; beside an adapter, names of tensors are.
struct DirectorySurvey {
  let path: FilePath
  let names: [String]
  /// What leads to a regular file.
  let files: [String]
  let directories: [String]
  /// Links that lead to nothing.
  let dangling: [String]
  /// `config.json`; nil where there is none or it cannot be read, which its reader will say.
  let config: JSONValue?
  let weights: ModelFiles.Finding
  /// Beside an adapter: what could be a model's weights by its name, and is not.
  let sideFiles: [String]

  /// More names than any model has; a directory of so many files is none.
  private static let limit = 10_000

  init(_ path: FilePath) throws {
    self.path = path
    let all = try Directory.names(in: path)
    names = all.filter { !AuxiliaryFile.isAppleDouble($0) || Directory.kind(of: path.appending($0)) == .directory }
    var files: [String] = []
    var directories: [String] = []
    var dangling: [String] = []
    for name in names.prefix(Self.limit) {
      switch Directory.kind(of: path.appending(name)) {
      case .file: files.append(name)
      case .directory: directories.append(name)
      case .other: break
      case nil: dangling.append(name)
      }
    }
    (self.files, self.directories, self.dangling) = (files, directories, dangling)
    config =
      files.contains("config.json")
      ? (try? ReadableFile.contents(of: path.appending("config.json"), limit: 64 << 20)).flatMap { try? JSONValue(parsing: $0, allowsNonFinite: true) }
      : nil
    let sideFiles = AdapterFiles.sideFiles(files, in: path)
    self.sideFiles = sideFiles
    weights = ModelFiles.find(files.filter { !sideFiles.contains($0) }, config: config)
  }

  func has(_ name: String) -> Bool { names.contains(name) }
  func first(_ matches: (String) -> Bool) -> String? { names.first(where: matches) }

  /// GGUF files: a set of parts counts once, by the name of its first part that is there.
  var ggufs: [String] {
    var seen: Set<String> = []
    return files.filter { name in
      guard name.isGGUFName else { return false }
      guard let part = PartName(gguf: name) else { return true }
      return seen.insert("\(part.prefix) \(part.count)").inserted
    }
  }

  /// A kind that is there, and the file that shows it.
  struct Sign: Equatable {
    let kind: WeightSourceKind
    let file: String
  }

  /// Every kind that is there, the one that `config.json` describes first.
  var signs: [Sign] {
    var signs: [Sign] = []
    if let file = RankFile.first(in: names, ".engine") { signs.append(Sign(kind: .engine, file: file)) }
    if let file = RankFile.first(in: names, ".safetensors") { signs.append(Sign(kind: .checkpoint, file: file)) }
    switch weights {
    case .found(let choice): signs.append(Sign(kind: .huggingFace, file: choice.name))
    case .several(let names), .incomplete(let names, _): signs.append(Sign(kind: .huggingFace, file: names[0]))
    case .none: break
    }
    if let configured {
      if let place = signs.firstIndex(where: { $0.kind == configured }) {
        signs.insert(signs.remove(at: place), at: 0)
      } else if configured != .huggingFace {
        // Its files are missing, and its reader will say which.
        signs.insert(Sign(kind: configured, file: "config.json"), at: 0)
      }
    }
    if has("adapter_config.json") { signs.append(Sign(kind: .adapter, file: "adapter_config.json")) }
    return signs
  }

  /// What `config.json` belongs to.
  private var configured: WeightSourceKind? {
    guard let config, config.object != nil else { return nil }
    if config["pretrained_config"] != nil { return .engine }
    if config["architectures"] != nil || config["model_type"] != nil { return .huggingFace }
    return config["mapping"] != nil || config["architecture"]?.string != nil ? .checkpoint : nil
  }
}

extension ModelFiles.Choice {
  /// The file that shows what was found.
  var name: String {
    switch files {
    case .single(let name), .index(let name): name
    case .parts(let names): names[0]
    }
  }
}
