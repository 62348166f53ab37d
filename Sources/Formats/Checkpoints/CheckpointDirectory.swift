import Files
public import JSON
public import Safetensors
public import SystemPackage

/// The files of a checkpoint, all present and with checked headers; of the configuration only the mapping is looked at.
///
/// Pruning needs no more than this, so it works for architectures that nothing else knows.
public final class CheckpointDirectory: Sendable {
  /// As it was given.
  public let path: FilePath
  /// `config.json` as a tree: an object.
  public let json: JSONValue
  /// `config.json` byte for byte.
  public let configText: [UInt8]
  /// One rank where `config.json` has none.
  public let mapping: Mapping
  /// One for each file that the mapping asks for, in order. Ranks that share a file find it by ``Mapping/fileIndex(_:)``.
  public let ranks: [SafetensorsFile]
  /// Other regular files, to be carried along: tokenizer, `quant_cfg.json`, generation settings.
  public let auxiliaryFiles: [String]
  /// Rank files that the mapping does not ask for.
  public let surplusFiles: [String]
  /// Sub-directories, which no checkpoint has.
  public let directories: [String]

  /// Reads `config.json`, opens the rank files and checks their headers.
  ///
  /// - Throws: ``CheckpointError`` where a file is missing or cannot be read, or `mapping` is impossible.
  public init(_ path: FilePath) throws(CheckpointError) {
    self.path = path
    (json, configText) = try Self.readConfig(path)
    mapping = try Mapping(json["mapping"], path: path.appending("config.json"))
    let expected = (0..<mapping.fileCount).map { Self.rankName($0) }
    let names: [String]
    do throws(FileError) { names = try Directory.names(in: path) } catch { throw CheckpointError(path, .file(error)) }
    var auxiliary: [String] = []
    var directories: [String] = []
    var present: Set<String> = []
    for name in names {
      switch Directory.kind(of: path.appending(name)) {
      case .directory: directories.append(name)
      case .file where AuxiliaryFile.staysBehind(name) && !Self.isRankFile(name): break
      case .file where !Self.isRankFile(name) && name != "config.json": auxiliary.append(name)
      default: present.insert(name)
      }
    }
    present.formUnion(directories)  // opening one says that it is no file, which is better than "missing"
    let missing = expected.filter { !present.contains($0) }
    guard missing.isEmpty else { throw CheckpointError(path, .missingFiles(missing, expected: expected.count)) }
    self.directories = directories.filter { !expected.contains($0) }
    auxiliaryFiles = auxiliary
    surplusFiles = present.filter { Self.isRankFile($0) && !expected.contains($0) && !directories.contains($0) }.sorted()
    var ranks: [SafetensorsFile] = []
    for name in expected {
      do throws(SafetensorsError) { ranks.append(try SafetensorsFile(path.appending(name))) } catch {
        throw CheckpointError(path, .safetensors(error))
      }
    }
    self.ranks = ranks
  }

  /// - Parameter file: Of a file, not of a rank; see ``Mapping/fileIndex(_:)``.
  public static func rankName(_ file: Int) -> String { "rank\(file).safetensors" }

  private static func isRankFile(_ name: String) -> Bool { RankFile.isOne(name, ".safetensors") }

  /// `config.json` of a checkpoint or engine directory, as a tree and as it stands in the file.
  public static func readConfig(_ directory: FilePath) throws(CheckpointError) -> (json: JSONValue, text: [UInt8]) {
    guard let kind = Directory.kind(of: directory) else {
      do throws(FileError) { _ = try Directory.resolve(directory) } catch { throw CheckpointError(directory, .file(error)) }
      throw CheckpointError(directory, .notADirectory)
    }
    guard kind == .directory else { throw CheckpointError(directory, .notADirectory) }
    let file = directory.appending("config.json")
    guard Directory.kind(of: file) != nil else { throw CheckpointError(directory, .missingConfig) }
    let text: [UInt8]
    do throws(FileError) { text = try ReadableFile.contents(of: file, limit: 64 << 20) } catch {
      throw CheckpointError(file, .file(error))
    }
    return (try parse(text, path: file), text)
  }

  /// A configuration file; Python's `NaN` and `Infinity` are allowed in it.
  static func parse(_ text: [UInt8], path: FilePath) throws(CheckpointError) -> JSONValue {
    let json: JSONValue
    do throws(JSONError) { json = try JSONValue(parsing: text, allowsNonFinite: true) } catch {
      throw CheckpointError(path, .json(error))
    }
    guard json.object != nil else {
      throw CheckpointError(path, .refused(reason: "should hold a JSON object, but holds \(json.kind)."))
    }
    return json
  }
}
