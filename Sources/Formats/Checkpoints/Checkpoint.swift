import JSON
import Files
public import Safetensors
public import SystemPackage

/// A checkpoint: configuration and rank files, all read and checked, no weight touched yet.
public final class Checkpoint: Sendable {
  /// Its files, and `config.json` as it is written.
  public let files: CheckpointDirectory
  /// Of `MIXED_PRECISION`, with what `quant_cfg.json` says of each layer.
  public let config: CheckpointConfig
  /// As it was given.
  public var directory: FilePath { files.path }
  /// By file index; see ``Mapping/fileIndex(_:)``.
  public var ranks: [SafetensorsFile] { files.ranks }
  /// Other files of the directory, to be carried along.
  public var auxiliaryFiles: [String] { files.auxiliaryFiles }

  /// Opens all rank files and reads `config.json`; no values are read.
  ///
  /// - Throws: ``CheckpointError`` where a file is missing or cannot be read, or a field has no usable value.
  public init(directory: FilePath) throws(CheckpointError) {
    files = try CheckpointDirectory(directory)
    config = try Self.config(of: files)
  }

  private static func config(of files: CheckpointDirectory) throws(CheckpointError) -> CheckpointConfig {
    var config = try CheckpointConfig(parsing: files.json, path: files.path.appending("config.json"))
    guard config.quantization.algorithm == .mixedPrecision else { return config }
    let path = files.path.appending("quant_cfg.json")
    guard files.auxiliaryFiles.contains("quant_cfg.json") else {
      throw CheckpointError(
        path, .refused(reason: "missing; a MIXED_PRECISION checkpoint says there how each layer is quantised. Copy it from the original checkpoint."))
    }
    let text: [UInt8]
    do throws(FileError) { text = try ReadableFile.contents(of: path) } catch { throw CheckpointError(path, .file(error)) }
    let json = try CheckpointDirectory.parse(text, path: path)
    try config.quantization.readLayers(json, FieldReader(json, path: path))
    return config
  }

  /// The file that holds the weights of `rank`.
  public func file(ofRank rank: Int) -> SafetensorsFile { ranks[config.mapping.fileIndex(rank)] }
}
