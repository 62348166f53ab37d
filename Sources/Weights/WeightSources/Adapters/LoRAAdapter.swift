public import Files
import JSON
import Safetensors
public import SystemPackage
import Tensors

/// A LoRA adapter as it lies on disk: `adapter_config.json` and `adapter_model.safetensors` (mlx-lm: `adapters.safetensors`),
/// or the GGUF file that llama.cpp's `convert_lora_to_gguf.py` makes of those.
///
/// For each module it names a low-rank change (`W + scale · B·A`, with DoRA also a magnitude for each row), whole tensors
/// that replace the base's (`modules_to_save`, biases), or rows of a table (`trainable_token_indices`). What they do to a
/// given model is for `AdapterPlan` to find.
///
/// `fan_in_fan_out` needs nothing: it says that the base layer keeps its weight as `[in, out]`, while A and B, and the
/// weights here, are always `[r, in]`, `[out, r]` and `[out, in]`.
public final class LoRAAdapter: Sendable {
  /// A directory or a GGUF file.
  public let path: FilePath
  /// ``path``, for messages.
  public var origin: String { path.string }
  let config: LoRAConfig
  let file: any AdapterFile
  /// Everything that was read for it.
  public let files: [ReadableFile]
  /// Settings that are not supported; reported together with what is wrong with its tensors.
  let problems: [AdapterProblem]
  /// What its files gave cause to say.
  let warnings: [SourceWarning]

  private static let configName = LoRAConfig.fileName
  private static let weightNames = AdapterFiles.weights

  /// - Parameter layout: Of the model that it is put on; without it factors of whole stacks of experts are not taken apart.
  /// - Throws: ``AdapterError`` for files that are not there and for another kind of adapter; ``WeightSourceError``,
  ///   `FileError` or `SafetensorsError` for files that cannot be read. Settings that are not supported are refused by
  ///   ``AdaptedWeights``, with everything else.
  public init(directory: FilePath, for layout: ShardLayout? = nil) throws {
    path = directory
    let weights = try Self.weights(in: directory)
    var problems: [AdapterProblem] = []
    let read: Result<LoRAConfig, any Error>
    let config = try ConfigReader(directory: directory, file: Self.configName)
    do { read = .success(try LoRAConfig.read(config, problems: &problems)) } catch { read = .failure(error) }
    // Of another kind of adapter the tensors mean something else.
    guard case .success(let settings) = read, let tensors = try Self.tensors(weights, directory, &problems) else { throw AdapterError(directory, problems) }
    self.config = settings
    file = layout?.shape.experts.flatMap { StackedAdapterFile(tensors, experts: $0, layerCount: layout?.shape.layerCount ?? 0, isTargeted: settings.targets.namesParameter) } ?? tensors
    files = [try ReadableFile(directory.appending(Self.configName)), tensors.file]
    self.problems = problems
    warnings = []
  }

  /// - Parameters:
  ///   - path: A GGUF file, or a part of one that was split.
  ///   - layout: Of the model that it is put on: the order of rows in the file depends on its heads.
  /// - Throws: ``GGUFError`` for a file that cannot be read. Metadata that are not supported are refused by ``AdaptedWeights``,
  ///   with everything else.
  public init(gguf path: FilePath, for layout: ShardLayout) throws {
    self.path = path
    let file = try GGUFFile(path)
    var problems: [AdapterProblem] = []
    var warnings: [SourceWarning] = []
    config = LoRAConfig(gguf: file, layout, problems: &problems, warnings: &warnings)
    self.problems = problems
    self.file = GGUFAdapterFile(file, layout)
    files = file.parts
    self.warnings = warnings
  }

  /// Opens whichever of the two was found.
  public convenience init(_ found: FoundSource, for layout: ShardLayout) throws {
    switch found.kind {
    case .ggufAdapter: try self.init(gguf: found.path, for: layout)
    default: try self.init(directory: found.path, for: layout)
    }
  }

  /// The model that an adapter says it was trained on: a name, or where it is published.
  public static func trainedOn(_ found: FoundSource) -> String? {
    let name: String?
    if found.kind == .ggufAdapter {
      let metadata = (try? GGUFFile(found.path))?.metadata
      name = (metadata?["general.base_model.0.repo_url"] ?? metadata?["general.base_model.0.name"])?.string
    } else {
      let text = try? ReadableFile.contents(of: found.path.appending(configName))
      name = text.flatMap { try? JSONValue(parsing: $0, allowsNonFinite: true) }?["base_model_name_or_path"]?.string
    }
    guard let name, !name.isEmpty else { return nil }
    let site = "https://huggingface.co/"
    // It goes into messages, a line each.
    return String((name.hasPrefix(site) ? name.dropFirst(site.count) : name[...]).map { $0.isNewline ? " " : $0 })
  }

  /// Sub-folders that hold an adapter each, sorted: checkpoints of a training, or several adapters saved together.
  public static func subfolders(of directory: FilePath) -> [String] {
    ((try? Directory.names(in: directory)) ?? []).filter {
      Directory.kind(of: directory.appending($0).appending(configName)) == .file
    }.sorted()
  }

  /// - Returns: nil where they cannot be read and something else is wrong, too: both are then among the problems.
  private static func tensors(_ path: FilePath, _ directory: FilePath, _ problems: inout [AdapterProblem]) throws -> SafetensorsFile? {
    do { return try SafetensorsFile(path) } catch {
      if problems.isEmpty { throw error }
      problems.append(AdapterProblem(.files, "\(error)", remedy: "Download or save the adapter again."))
      return nil
    }
  }

  private static func weights(in directory: FilePath) throws -> FilePath {
    func isFile(_ name: String) -> Bool { Directory.kind(of: directory.appending(name)) == .file }
    func failed(_ detail: String, _ remedy: String) -> AdapterError { AdapterError(directory, [AdapterProblem(.files, detail, remedy: remedy)]) }
    let name = weightNames.first(where: isFile)
    guard isFile(configName), let name else {
      let folders = subfolders(of: directory)
      if !folders.isEmpty {
        throw failed(
          "the \(folders.count == 1 ? "adapter lies" : "adapters lie") in \(folders.count == 1 ? "the sub-folder" : "sub-folders") \(NameSummary(folders))",
          "Name \(folders.count == 1 ? directory.appending(folders[0]).string : "one of them").")
      }
      if isFile("adapter_model.bin") {
        throw failed(
          "only adapter_model.bin is here, and such files can run code when they are read, so they are never opened",
          "Save the adapter again with a current PEFT, which writes adapter_model.safetensors.")
      }
      guard isFile(configName) else { throw failed("there is no adapter_config.json", "Copy the whole directory that the adapter was saved in.") }
      throw failed("there is no adapter_model.safetensors beside adapter_config.json", "Copy the whole directory that the adapter was saved in.")
    }
    for name in [configName, name] {
      let file = try ReadableFile(directory.appending(name))
      guard try file.bytes(0..<min(file.byteCount, 64)).starts(with: "version https://git-lfs".utf8) else { continue }
      throw failed("\(name) is a Git LFS pointer, not the file itself", "Run 'git lfs pull' in the directory.")
    }
    return directory.appending(name)
  }
}
