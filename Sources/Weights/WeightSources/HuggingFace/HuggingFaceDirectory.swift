import Files
import JSON
import Safetensors
public import SystemPackage
public import Tensors

/// A model as Hugging Face publishes it: `config.json` beside `model.safetensors`, or beside shards with an index.
///
/// Only safetensors files are opened: older formats run code when they are read.
public final class HuggingFaceDirectory: NamedTensors {
  /// As it was given.
  public let path: FilePath
  public let names: [String]
  private let files: [String: SafetensorsFile]
  /// Tensors that are in two files, and files of weights that were left out.
  let warnings: [SourceWarning]

  /// - Throws: ``WeightSourceError`` where there are no weights that may be read, where the index names files outside
  ///   the directory or that are not there, or tensors that are not in the file it says.
  public init(_ path: FilePath) throws {
    self.path = path
    let survey = try DirectorySurvey(path)
    guard case .found(let choice) = survey.weights else { throw OtherFormats(survey: survey, role: .model).explanation }
    var warnings: [SourceWarning] = []
    switch choice.files {
    case .single(let name):
      let file = try Self.open(path.appending(name))
      names = file.names
      files = Dictionary(uniqueKeysWithValues: file.names.map { ($0, file) })
    case .index(let name): (names, files) = try Self.shards(path, index: name, &warnings)
    case .parts(let parts): (names, files) = try Self.parts(parts, of: path)
    }
    if !choice.isNamed { warnings += Self.leftOut(survey, choice, used: files) }
    self.warnings = warnings
    try QuantizedNames.refuse(self, survey)
  }

  /// Other weights in the directory, which may be another model's: as in transformers they do not count.
  private static func leftOut(_ survey: DirectorySurvey, _ choice: ModelFiles.Choice, used: [String: SafetensorsFile]) -> [SourceWarning] {
    let read = Set(used.values.compactMap { $0.path.lastComponent?.string })
    let others = ModelFiles.candidates(survey.files).filter { !read.contains($0) && $0 != choice.name }
    guard let first = others.first else { return [] }
    let more = others.count == 1 ? "holds weights, too, and was" : "and \(others.count - 1) more files hold weights, too, and were"
    return [SourceWarning(first, in: survey.path.string, "\(more) left out, as in transformers: \(choice.name) counts")]
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

  private static func shards(_ path: FilePath, index: String, _ warnings: inout [SourceWarning]) throws -> ([String], [String: SafetensorsFile]) {
    let reader = try ConfigReader(directory: path, file: index)
    guard let map = reader.json["weight_map"]?.object else { throw reader.failed("weight_map", "is missing or not an object") }
    var shards: Set<String> = []
    var wanted: [String: String] = [:]
    for (name, value) in map {
      guard let shard = value.string else { throw reader.failed("weight_map", "maps '\(name)' to \(value.kind)") }
      // Nothing in a file may lead out of its directory.
      let place = FilePath(shard).lexicallyNormalized()
      guard place.isRelative, !place.isEmpty, place.components.allSatisfy({ $0.kind == .regular }), shard.hasSuffix(".safetensors") else {
        throw reader.failed("weight_map", "names the file '\(shard)', which is not a safetensors file in this directory")
      }
      shards.insert(place.string)
      wanted[name] = place.string
    }
    func place(of shard: String) -> FilePath { path.appending(FilePath(shard).components) }
    let missing = shards.filter { Directory.kind(of: place(of: $0)) != .file }.sorted()
    guard missing.isEmpty else { throw WeightSourceError(path.string, .missingShards(files: missing)) }
    var names: [String] = []
    var files: [String: SafetensorsFile] = [:]
    var absent = Set(wanted.keys)
    var doubled: [(name: String, shard: String)] = []
    // Of a tensor in several files transformers takes the copy of the last, whatever the index says.
    for shard in shards.sorted() {
      let file = try open(place(of: shard))
      for name in file.names {
        if files.updateValue(file, forKey: name) == nil { names.append(name) } else { doubled.append((name, shard)) }
        if wanted[name] == shard { absent.remove(name) }
      }
    }
    // All files of the set are read, so what lies in another of them is there all the same.
    let misplaced = absent.filter { files[$0] != nil }.sorted()
    absent.subtract(misplaced)
    guard absent.isEmpty else { throw WeightSourceError(path.string, .missing(names: absent.sorted())) }
    if let first = misplaced.first {
      let more = misplaced.count == 1 ? "is in another file than the index says" : "and \(misplaced.count - 1) more tensors are in other files than the index says"
      warnings.append(SourceWarning(first, in: index, "\(more), as transformers finds them too"))
    }
    if let first = doubled.first {
      let more = doubled.count == 1 ? "is in two files" : "and \(Set(doubled.map(\.name)).count - 1) more tensors are in two files"
      warnings.append(SourceWarning(first.name, in: index, "\(more): the copy in the last (\(first.shard)) counts, as in transformers, whatever the index says"))
    }
    return (names, files)
  }

  public var origin: String { path.string }
  public func description(of name: String) -> TensorDescription? { files[name]?.header[name]?.description }

  public func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let file = files[name] else { throw WeightSourceError(origin, .missing(names: [name])) }
    try unsafe file.read(name, rows: rows, into: destination)
  }

  /// Bytes of a tensor's values, whatever its rows are.
  ///
  /// - Parameter offset: Of the first byte, from the tensor's.
  func read(_ name: String, from offset: Int, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let file = files[name] else { throw WeightSourceError(origin, .missing(names: [name])) }
    try unsafe file.read(name, from: offset, into: destination)
  }
}
