import Files
import JSON
public import SystemPackage
import Tensors

/// What a path was found to hold, decided from everything that is there, and what of it is to be opened.
public struct FoundSource: Sendable {
  /// Model, checkpoint, adapter or engine.
  public let kind: WeightSourceKind
  /// What to open: the path as given, or the one that it leads to (a snapshot in Hugging Face's cache, the only GGUF
  /// file of a directory, the first of a file's parts).
  public let path: FilePath
  /// What else is there and is left out, and what was read although it has not the usual name; for people.
  public let warnings: [SourceWarning]

  /// - Parameter role: What the path was named for; where a model and an adapter lie in one directory, it decides.
  /// - Throws: ``WeightSourceError`` saying what is there instead and which command takes it, or `FileError` where there
  ///   is nothing.
  public init(at path: FilePath, for role: SourceRole = .any) throws {
    let found =
      switch Directory.kind(of: path) {
      case .directory: try Self.directory(path, role)
      case .file: try Self.file(path, role)
      case .other: throw WeightSourceError(path.string, .found("this is neither a file nor a directory", remedy: "Name \(role.wanted)."))
      case nil: throw Self.absent(path, role)
      }
    guard role.accepted.contains(found.kind) else {
      throw WeightSourceError(path.string, .found("this is \(found.kind.withArticle)", remedy: role.remedy(for: found.kind)))
    }
    self = found
  }

  init(kind: WeightSourceKind, path: FilePath, warnings: [SourceWarning] = []) {
    (self.kind, self.path, self.warnings) = (kind, path, warnings)
  }

  private static func absent(_ path: FilePath, _ role: SourceRole) -> any Error {
    do throws(FileError) { _ = try ReadableFile(path) } catch {  // says why it cannot be opened
      // The name of a model on a server, or its address, given where a path is meant.
      if let remedy = address(path.string) { return WeightSourceError(path.string, .found("this is an address, not a path", remedy: remedy)) }
      let parts = path.string.split(separator: "/", omittingEmptySubsequences: false)
      let isName =
        path.string.count <= 96 && role.accepted.contains(.huggingFace) && parts.count == 2 && parts.allSatisfy { !$0.isEmpty && $0.first != "." && $0.utf8.allSatisfy(isNameByte) }
        && Directory.kind(of: FilePath(String(parts[0]))) == nil
        && ![".gguf", ".safetensors", ".json", ".bin", ".engine"].contains { parts[1].lowercased().hasSuffix($0) }
      guard case .system(_, .noSuchFileOrDirectory) = error.problem else { return error }
      guard isName else {
        return nearest(path).map { FileError(path, .refused(reason: "there is no such file or directory. Did you mean '\($0.string.inMessage)'?")) } ?? error
      }
      return WeightSourceError(
        path.string, .found("there is no such file or directory", remedy: "Models are not downloaded here: get one with 'hf download \(path.inMessage)', and name the directory it prints."))
    }
    return WeightSourceError(path.string, .found("this cannot be looked at", remedy: "Check its permissions and owner."))
  }

  /// What to do with an address; nil where it is none. (A path has lost one of two slashes.)
  private static func address(_ text: String) -> String? {
    guard let scheme = ["https:/", "http:/", "hf:/", "s3:/", "gs:/"].first(where: { text.hasPrefix($0) }) else { return nil }
    var parts = text.dropFirst(scheme.count).split(separator: "/")
    if scheme.hasPrefix("http") {
      guard parts.first == "huggingface.co" || parts.first == "hf.co" else { return "Download it, and name what was saved." }
      parts.removeFirst()
    } else if scheme != "hf:/" {
      return "Download it, and name what was saved."
    }
    guard parts.count >= 2, parts.prefix(2).allSatisfy({ $0.utf8.allSatisfy(isNameByte) }) else { return "Download it, and name what was saved." }
    return "Models are not downloaded here: get it with 'hf download \(parts[0])/\(parts[1])', and name the directory it prints."
  }

  /// What lies beside a path that leads nowhere and is spelt nearly so.
  private static func nearest(_ path: FilePath) -> FilePath? {
    let parent = path.removingLastComponent()
    guard let name = path.lastComponent?.string, name.count > 1, let names = try? Directory.names(in: parent.isEmpty ? "." : parent) else { return nil }
    return nearestName(to: name, among: names.filter { $0.first == name.first }).map { parent.appending($0) }
  }

  /// What names on a server are made of.
  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    default: [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ".")].contains(byte)
    }
  }

  // MARK: directories

  private static func directory(_ path: FilePath, _ role: SourceRole) throws -> FoundSource {
    let survey = try DirectorySurvey(path)
    if HubCache.isRepository(survey), survey.signs.isEmpty {
      let (snapshot, warnings) = try HubCache.snapshot(of: path)
      let found = try directory(snapshot, role)
      return FoundSource(kind: found.kind, path: found.path, warnings: warnings + found.warnings)
    }
    let signs = survey.signs
    let isModel = survey.isModel
    // An adapter is meant where one is asked for, and where what is beside it is no model.
    let adapter = signs.first { $0.kind == .adapter }
    let others = signs.filter { $0.kind != .adapter && ($0.kind != .huggingFace || isModel || adapter == nil) }
    if let adapter, role == .adapter || others.isEmpty {
      if !survey.hasAdapterWeights, let found = try onlyGGUFAdapter(survey) { return found }
      if let obstacle = AdapterFiles(survey: survey).obstacle { throw WeightSourceError(path.string, obstacle) }
      return FoundSource(kind: adapter.kind, path: path, warnings: AdapterFiles(survey: survey).leftOut(asked: role == .adapter))
    }
    if role == .adapter, let found = try onlyGGUFAdapter(survey) { return found }
    if let chosen = others.first {
      if chosen.kind == .huggingFace, !survey.has("config.json") { throw OtherFormats(survey: survey, role: role).explanation }
      if chosen.kind == .huggingFace, case .found = survey.weights {
      } else if chosen.kind == .huggingFace {
        throw OtherFormats(survey: survey, role: role).explanation
      }
      let place = path.string
      var warnings = others.dropFirst().map { sign in
        SourceWarning(sign.file, in: place, "is of \(sign.kind.withArticle) and was left out: config.json is that of \(chosen.kind.withArticle)")
      }
      if let adapter {
        warnings.append(
          SourceWarning(
            adapter.file, in: place,
            AdapterFiles(survey: survey).obstacle == nil
              ? "is of an adapter beside the model and was left out; trtllm-refit --lora_dir puts it on an engine of the model"
              : "is of an adapter whose weights are not here, and was left out"))
      }
      if !survey.ggufs.isEmpty { warnings += try GGUFChoice(survey.ggufs, in: path).warnings(beside: chosen.file) }
      if chosen.kind == .huggingFace, case .found(let choice) = survey.weights, let unusual = choice.unusual {
        warnings.append(SourceWarning(unusual, in: place, "was read, for there is no \(ModelFiles.single)"))
      }
      return FoundSource(kind: chosen.kind, path: path, warnings: warnings)
    }
    if !survey.ggufs.isEmpty { return try ggufs(survey, role) }
    throw OtherFormats(survey: survey, role: role).explanation
  }

  // MARK: GGUF

  /// An adapter beside other things; nil where there is none.
  private static func onlyGGUFAdapter(_ survey: DirectorySurvey) throws -> FoundSource? {
    let choice = try GGUFChoice(survey.ggufs, in: survey.path)
    guard choice.adapters.count > 1 else {
      return try choice.adapters.first.map { name in
        let found = try GGUFFile(survey.path.appending(name)).found()
        return FoundSource(kind: found.kind, path: found.path, warnings: choice.damage + companions(survey))
      }
    }
    throw WeightSourceError(
      survey.path.string,
      .found("the directory holds \(choice.adapters.count) GGUF adapters: \(NameSummary(choice.adapters, limit: 6))", remedy: "Name one of the files."))
  }

  /// The only model among a directory's GGUF files, or the only adapter where one is asked for or no model is there.
  private static func ggufs(_ survey: DirectorySurvey, _ role: SourceRole) throws -> FoundSource {
    let names = survey.ggufs
    let others = names.filter { name in !["mmproj", "imatrix"].contains { name.lowercased().contains($0) } }
    guard others.count > 1 else {
      let found = try file(survey.path.appending(others.first ?? names[0]), role)
      return FoundSource(kind: found.kind, path: found.path, warnings: found.warnings + (found.kind.isAdapter ? companions(survey) : []))
    }
    let choice = try GGUFChoice(others, in: survey.path)
    let (wanted, kind) = !choice.adapters.isEmpty && (role == .adapter || choice.models.isEmpty) ? (choice.adapters, "adapters") : (choice.models, "models")
    guard wanted.count == 1 else {
      if wanted.isEmpty, choice.damaged.isEmpty { return try file(survey.path.appending(others[0]), role) }  // says what it is
      if let parts = try renamedParts(wanted, survey) { throw parts }
      let what = wanted.isEmpty ? nil : "the directory holds \(wanted.count) GGUF \(kind): \(NameSummary(wanted, limit: 6))"
      throw WeightSourceError(
        survey.path.string,
        .found([what, choice.unreadable].compactMap { $0 }.joined(separator: ", and "), remedy: !wanted.isEmpty ? "Name one of the files." : choice.damaged.count > 1 ? "Download or copy them again." : nil))
    }
    let found = try file(survey.path.appending(wanted[0]), role)
    return FoundSource(
      kind: found.kind, path: found.path, warnings: found.warnings + (found.kind.isAdapter ? choice.damage + companions(survey) : choice.warnings(beside: nil)))
  }

  /// Files that their metadata calls parts of a model and whose names do not: no model of several, but one that cannot be put together.
  private static func renamedParts(_ names: [String], _ survey: DirectorySurvey) throws -> WeightSourceError? {
    let parts = names.prefix(100).compactMap { name in
      (try? ReadableFile(survey.path.appending(name))).flatMap { try? GGUFHeader(reading: $0) }?.split.map { (name: name, split: $0) }
    }
    guard parts.count > 1, parts.count == names.count, let first = parts.min(by: { $0.split.number < $1.split.number }),
      Set(parts.map(\.split.number)).count == parts.count, parts.allSatisfy({ $0.split.count == first.split.count })
    else { return nil }
    return WeightSourceError(
      survey.path.string,
      .found(
        "\(NameSummary(parts.map(\.name), limit: 2)) are parts of one model in \(first.split.count) parts, and are not called so",
        remedy: "Give them the names they had: \(first.name) should be NAME\(PartName.ending(first.split.number + 1, of: first.split.count)).gguf, and so on."))
  }

  /// A GGUF file is taken alone: a warning names what else an adapter's author put beside it. Beside a model it is the model's.
  private static func companions(_ survey: DirectorySurvey) -> [SourceWarning] {
    guard survey.weights == .none else { return [] }
    let place = survey.path.string
    return ModelSource.auxiliaryNames.filter(survey.files.contains).map {
      SourceWarning($0, in: place, "lies beside an adapter in a GGUF file and was left out: the engine's own stays")
    }
  }

  private static func file(_ path: FilePath, _ role: SourceRole) throws -> FoundSource {
    let name = path.lastComponent?.string ?? path.string
    let directory = path.removingLastComponent()
    if let pieces = FilePieces(name, among: (try? Directory.names(in: directory.isEmpty ? "." : directory)) ?? [name]) {
      let (what, remedy) = pieces.explanation
      throw WeightSourceError(path.string, .found(what, remedy: remedy))
    }
    let file = try ReadableFile(path)
    let start = try file.start()
    if start.starts(with: Array("GGUF".utf8)) {
      try UnfinishedDownload.refuse(path)
      return try GGUFFile(path).found()
    }
    if name.isGGUFName || FileStart.isGitLFSPointer(start) {
      throw WeightSourceError(path.string, .found("this is no GGUF file: \(FileStart.description(of: start) ?? "its first bytes are of another kind. Download it again")", remedy: nil))
    }
    if let what = FileStart.oldFormat(of: start) { throw WeightSourceError(path.string, .found("this is \(what.name)", remedy: what.remedy)) }
    if UnfinishedDownload.isOne(name) { throw WeightSourceError(path.string, .found("this is an unfinished download", remedy: "Finish it.")) }
    guard isPart(name) else {
      let what = FileStart.description(of: start).map { ": \($0)" } ?? ""
      throw WeightSourceError(path.string, .found("this file does not start as a GGUF file does\(what)", remedy: "Name \(role.wanted)."))
    }
    let kind = (try? Self.directory(directory.isEmpty ? "." : directory, role))?.kind
    throw WeightSourceError(
      path.string,
      .found("this is one file of \(kind?.withArticle ?? "a directory")", remedy: directory.string.count > 100 ? "Name its directory." : "Name the directory, \(directory.isEmpty ? "." : directory.inMessage)"))
  }

  /// Whether such a file is read as a part of its directory.
  static func isPart(_ name: String) -> Bool {
    [".safetensors", ".engine", ".json", ".jinja", ".bin"].contains { name.hasSuffix($0) }
  }
}

extension DirectorySurvey {
  fileprivate var hasAdapterWeights: Bool { AdapterFiles.names.contains(where: files.contains) }
  /// Configuration and weights of a Hugging Face model, all of them or some.
  fileprivate var isModel: Bool {
    guard let config, config["architectures"] != nil || config["model_type"] != nil else { return false }
    // Some files of a set are there because somebody wanted the model.
    if case .incomplete = weights { return true }
    guard case .found(let choice) = weights else { return false }
    guard case .index(let index) = choice.files else { return true }
    // An index without its files is what an adapter's repository may have left of its base.
    guard let bytes = try? ReadableFile.contents(of: path.appending(index)),
      let map = (try? JSONValue(parsing: bytes))?["weight_map"]?.object
    else { return true }
    return map.values.contains { $0.string.map { Directory.kind(of: path.appending(FilePath($0).lexicallyNormalized().components)) == .file } ?? false }
  }
}
