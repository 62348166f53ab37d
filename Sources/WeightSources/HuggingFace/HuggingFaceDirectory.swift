import Files
import JSON
import Safetensors
public import SystemPackage
public import Tensors

/// A model as Hugging Face publishes it: `config.json` beside `model.safetensors`, or beside shards with an index.
///
/// Only safetensors files are opened: older formats run code when they are read.
public final class HuggingFaceDirectory: NamedTensors {
  public let path: FilePath
  public let names: [String]
  private let files: [String: SafetensorsFile]

  /// - Throws: ``WeightSourceError`` where there are no weights that may be read, where the index names files outside
  ///   the directory or that are not there, or tensors that are not in the file it says.
  public init(_ path: FilePath) throws {
    self.path = path
    let survey = try DirectorySurvey(path)
    guard case .found(let choice) = survey.weights else { throw OtherFormats(survey: survey, role: .model).explanation }
    switch choice.files {
    case .single(let name):
      let file = try Self.open(path.appending(name))
      names = file.names
      files = Dictionary(uniqueKeysWithValues: file.names.map { ($0, file) })
    case .index(let name): (names, files) = try Self.shards(path, index: name)
    case .parts(let parts): (names, files) = try Self.parts(parts, of: path)
    }
    try QuantizedNames.refuse(self, survey)
  }

  private static func open(_ path: FilePath) throws -> SafetensorsFile {
    try UnfinishedDownload.refuse(path)
    return try SafetensorsFile(path)
  }

  /// All tensors of all files, where no index says which counts.
  private static func parts(_ parts: [String], of path: FilePath) throws -> ([String], [String: SafetensorsFile]) {
    var names: [String] = []
    var files: [String: SafetensorsFile] = [:]
    for part in parts {
      let file = try open(path.appending(part))
      for name in file.names {
        guard files.updateValue(file, forKey: name) == nil else {
          throw WeightSourceError(path.string, .other("'\(name)' is in two files, and there is no index that says which counts. Download the model again."))
        }
      }
      names += file.names
    }
    return (names, files)
  }

  private static func shards(_ path: FilePath, index: String) throws -> ([String], [String: SafetensorsFile]) {
    let reader = try ConfigReader(directory: path, file: index)
    guard let map = reader.json["weight_map"]?.object else { throw reader.failed("weight_map", "is missing or not an object") }
    var shards: Set<String> = []
    var wanted: [String: String] = [:]
    for (name, value) in map {
      guard let shard = value.string else { throw reader.failed("weight_map", "maps '\(name)' to \(value.kind)") }
      // Nothing in a file may lead out of its directory.
      guard FilePath.Component(shard)?.kind == .regular, shard.hasSuffix(".safetensors") else { throw reader.failed("weight_map", "names the file '\(shard)', which is not a safetensors file in this directory") }
      shards.insert(shard)
      wanted[name] = shard
    }
    let missing = shards.filter { Directory.kind(of: path.appending($0)) != .file }.sorted()
    guard missing.isEmpty else { throw WeightSourceError(path.string, .missingShards(files: missing)) }
    var names: [String] = []
    var files: [String: SafetensorsFile] = [:]
    var absent = Set(wanted.keys)
    for shard in shards.sorted() {
      let file = try open(path.appending(shard))
      for name in file.names where wanted[name] == nil || wanted[name] == shard {
        guard files.updateValue(file, forKey: name) == nil else {
          throw WeightSourceError(path.string, .other("'\(name)' is in two shards and the index does not say which counts. Download the model again."))
        }
        names.append(name)
        absent.remove(name)
      }
    }
    guard absent.isEmpty else { throw WeightSourceError(path.string, .missing(names: absent.sorted())) }
    return (names, files)
  }

  public var origin: String { path.string }
  public func description(of name: String) -> TensorDescription? { files[name]?.header[name]?.description }

  public func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let file = files[name] else { throw WeightSourceError(origin, .missing(names: [name])) }
    try unsafe file.read(name, rows: rows, into: destination)
  }
}
