import Files
public import JSON
public import OrderedCollections
public import SystemPackage

/// Where an engine's weights came from: `lineage.json` of the engine directory.
///
/// It stands beside the rank files, not in them, so that two engines with the same plan and weights are the same files.
public struct Lineage: Sendable, Equatable {
  /// Its name in the engine directory.
  public static let fileName = "lineage.json"

  /// An adapter that was put on the weights.
  public struct Adapter: Sendable, Equatable {
    /// Absolute (as it was given, in files of earlier versions).
    public var path: String
    /// SHA-256 of all of its files, one after the other.
    public var digest: String
    /// What its change was multiplied by, beside its own scaling.
    public var scale: Double
    /// The model that its configuration says it was trained on, as written there; nil where it says nothing.
    public var trainedOn: String?
    /// - Parameter digest: Of its files, as ``SourceFingerprint`` gives it.
    public init(path: String, digest: String, scale: Double, trainedOn: String? = nil) {
      self.path = path
      self.digest = digest
      self.scale = scale
      self.trainedOn = trainedOn
    }
  }
  /// Weights that adapters were put on, where they were not the engine's own.
  public struct Base: Sendable, Equatable {
    /// `checkpoint`, `huggingFace`, `gguf` or `engine`.
    public var kind: String
    /// Absolute.
    public var path: String
    /// See ``SourceFingerprint``.
    public var digest: String
    /// - Parameter path: Absolute.
    public init(kind: String, path: String, digest: String) {
      self.kind = kind
      self.path = path
      self.digest = digest
    }
  }
  /// How much of a source's files a digest stands for.
  public enum Coverage: String, Sendable, Equatable {
    /// Every byte of every file.
    case all = "all bytes"
    /// Names and sizes of all files, and the bytes at their ends.
    case ends = "first and last MiB of each file"

    init(of path: FilePath) { self = SourceFingerprint.coversAll(path) ? .all : .ends }
  }
  /// Tensors of the source, under TensorRT-LLM's names and in the types and shapes in which they are delivered.
  public struct Read: Sendable, Equatable {
    /// SHA-256 of the lines `<rank> <name> <type> <shape> <SHA-256 of the rows>`, by rank and name.
    public var digest: String
    /// Tensors of all ranks.
    public var tensorCount: Int
  }
  /// A file beside the weights: tokenizer, chat template, generation settings and such.
  public struct File: Sendable, Equatable {
    /// SHA-256.
    public var digest: String
    /// The directory or GGUF file that it came from.
    public var source: String
    /// - Parameter digest: SHA-256 in hexadecimal.
    public init(digest: String, source: String) {
      self.digest = digest
      self.source = source
    }
  }
  /// What was said of a model when an engine was built of it, a line each.
  public struct Warnings: Sendable, Equatable {
    /// Of its configuration and weights.
    public var model: [String]
    /// Of its tokenizer, chat template and generation settings.
    public var files: [String]
    /// No warnings, where none are given.
    public init(model: [String] = [], files: [String] = []) {
      self.model = model
      self.files = files
    }
    /// Nothing was said.
    public var isEmpty: Bool { model.isEmpty && files.isEmpty }
  }
  /// `build`, `refit` or `strip`.
  public var action: String
  /// Name and version of the program, such as `drydock 0.1.0`.
  public var tool: String
  /// UTC, `2026-11-21T21:12:00Z`.
  public var created: String
  /// `checkpoint`, `huggingFace`, `gguf`, `engine`; `adapter` or `ggufAdapter` where one was named as the source.
  public var sourceKind: String
  /// Absolute (as it was given, in files of earlier versions).
  public var sourcePath: String
  /// See ``SourceFingerprint``; empty in files of earlier versions.
  public var sourceDigest: String
  /// What ``sourceDigest`` was made from; nil in files of earlier versions, which sampled.
  public var sourceCoverage: Coverage?
  /// All bytes of the source that went into the engine, where it was verified.
  public var sourceRead: Read?
  /// In the order in which they were put on; those that the source carried come first.
  public var adapters: [Adapter]
  /// nil where adapters were put on the source itself or on the engine's own weights.
  public var base: Base?
  /// Under which names the model of the weights below any adapter is known; empty where nothing said, nil in files of
  /// earlier versions.
  public var model: [String]?
  /// Root digests of the engine that was refitted.
  public var parent: [String]
  /// Digests of each rank file, by rank.
  public var ranks: [RankDigest]
  /// How the digests of weights were made; plain in files of earlier versions.
  public var digestKind = DigestKind.tree
  /// The files beside the weights, by name; nil in files of earlier versions.
  public var files: OrderedDictionary<String, File>?
  /// Of a build that had something to say.
  public var warnings: Warnings?
  /// What several processes did together, so that one that comes late knows that it is done; nil for one process.
  public var job: String?

  /// The time and all digests are the caller's; how much the source's digest covers is looked up at `sourcePath`.
  public init(
    action: String, tool: String, created: String, sourceKind: String, sourcePath: String, sourceDigest: String = "",
    adapters: [Adapter], base: Base? = nil, model: [String]? = nil, parent: [String], ranks: [RankDigest], job: String? = nil
  ) {
    self.base = base
    self.model = model
    self.action = action
    self.tool = tool
    self.created = created
    self.sourceKind = sourceKind
    self.sourcePath = sourcePath
    self.sourceDigest = sourceDigest
    sourceCoverage = sourceDigest.isEmpty ? nil : Coverage(of: FilePath(sourcePath))
    self.job = job
    self.adapters = adapters
    self.parent = parent
    self.ranks = ranks
  }

  /// What `lineage.json` holds: of format 1 with plain digests, of format 2 with others.
  public var json: JSONValue {
    var source: JSONObject = ["kind": .string(sourceKind), "path": .string(sourcePath), "sha256": .string(sourceDigest)]
    if let sourceCoverage { source["sha256_covers"] = .string(sourceCoverage.rawValue) }
    if let sourceRead { source["read"] = ["sha256": .string(sourceRead.digest), "tensors": .int(sourceRead.tensorCount)] }
    var members: JSONObject = [
      "formatVersion": .int(digestKind == .plain ? 1 : 2), "action": .string(action), "tool": .string(tool), "created": .string(created),
      "source": .object(source),
      "adapters": .array(adapters.map(\.json)), "parent": .strings(parent),
      "ranks": .array(ranks.map(\.json)),
    ]
    if digestKind != .plain { members["digests"] = .string(digestKind.rawValue) }
    if let files {
      members["files"] = .object(JSONObject(files.mapValues { ["sha256": .string($0.digest), "source": .string($0.source)] }))
    }
    if let model { members["model"] = .strings(model) }
    if let base { members["base"] = ["kind": .string(base.kind), "path": .string(base.path), "sha256": .string(base.digest)] }
    if let warnings, !warnings.isEmpty { members["warnings"] = ["model": .strings(warnings.model), "files": .strings(warnings.files)] }
    if let job { members["job"] = .string(job) }
    return .object(members)
  }

  /// Reads what ``json`` writes; nil for another format, and without action, ranks or, in format 2, the kind of digests.
  public init?(json: JSONValue) {
    guard let version = json["formatVersion"]?.int, let kind = version == 1 ? .plain : (json["digests"]?.string).flatMap(DigestKind.init),
      version == 1 || version == 2, let action = json["action"]?.string, let ranks = json["ranks"]?.array
    else {
      return nil
    }
    digestKind = kind
    self.action = action
    tool = json["tool"]?.string ?? ""
    created = json["created"]?.string ?? ""
    sourceKind = json["source"]?["kind"]?.string ?? ""
    sourcePath = json["source"]?["path"]?.string ?? ""
    sourceDigest = json["source"]?["sha256"]?.string ?? ""
    sourceCoverage = (json["source"]?["sha256_covers"]?.string).flatMap(Coverage.init)
    sourceRead = (json["source"]?["read"]).map { Read(digest: $0["sha256"]?.string ?? "", tensorCount: $0["tensors"]?.int ?? 0) }
    job = json["job"]?.string
    func lines(_ key: String) -> [String] { (json["warnings"]?[key]?.array ?? []).compactMap(\.string) }
    warnings = json["warnings"] == nil ? nil : Warnings(model: lines("model"), files: lines("files"))
    files = json["files"]?.object?.mapValues { File(digest: $0["sha256"]?.string ?? "", source: $0["source"]?.string ?? "") }
    adapters = (json["adapters"]?.array ?? []).map {
      Adapter(
        path: $0["path"]?.string ?? "", digest: $0["sha256"]?.string ?? "", scale: $0["scale"]?.double ?? 1,
        trainedOn: $0["trained_on"]?.string)
    }
    model = json["model"]?.array?.compactMap(\.string)
    base = json["base"].map {
      Base(kind: $0["kind"]?.string ?? "", path: $0["path"]?.string ?? "", digest: $0["sha256"]?.string ?? "")
    }
    parent = (json["parent"]?.array ?? []).compactMap(\.string)
    self.ranks = ranks.map(RankDigest.init(json:))
  }

  /// The lineage beside an engine, or nil where there is none.
  /// - Throws: where there is one that cannot be read.
  public init?(directory: FilePath) throws {
    let path = directory.appending(Self.fileName)
    guard try Directory.names(in: directory).contains(Self.fileName) else { return nil }
    do {
      guard let lineage = Lineage(json: try JSONValue(parsing: try ReadableFile.contents(of: path))) else {
        throw EngineError(path, .invalidConfiguration(reason: "not a lineage of this version; remove it to go on without"))
      }
      self = lineage
    } catch let error as JSONError {
      throw EngineError(path, .invalidConfiguration(reason: "\(error). Copy the engine's directory again."))
    }
  }
}

extension Lineage.Adapter {
  var json: JSONValue {
    var members: JSONObject = ["path": .string(path), "sha256": .string(digest), "scale": .double(scale)]
    if let trainedOn { members["trained_on"] = .string(trainedOn) }
    return .object(members)
  }
}

extension RankDigest {
  var json: JSONValue {
    ["file": .string(file), "root": .string(root), "weights": .object(JSONObject(weights.mapValues { .string($0) }))]
  }
  init(json: JSONValue) {
    self.init(
      file: json["file"]?.string ?? "", root: json["root"]?.string ?? "",
      weights: (json["weights"]?.object ?? [:]).mapValues { $0.string ?? "" })
  }
}
