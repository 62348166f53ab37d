import Files
public import SystemPackage

/// What a path holds, told from file names and first bytes alone.
public enum WeightSourceKind: String, Sendable, CaseIterable {
  /// A TensorRT-LLM checkpoint, pruned or not.
  case checkpoint
  /// A Hugging Face model directory.
  case huggingFace
  /// A GGUF file.
  case gguf
  /// A PEFT adapter directory.
  case adapter
  /// An engine directory.
  case engine

  /// The kind in words.
  public var name: String {
    switch self {
    case .checkpoint: "TensorRT-LLM checkpoint"
    case .huggingFace: "Hugging Face model"
    case .gguf: "GGUF file"
    case .adapter: "PEFT adapter"
    case .engine: "engine"
    }
  }

  /// - Throws: ``WeightSourceError`` saying what is there instead, or `FileError` where there is nothing.
  public static func detect(_ path: FilePath) throws -> WeightSourceKind {
    switch Directory.kind(of: path) {
    case .directory: return try directory(path)
    case .file: return try file(path)
    case .other: throw WeightSourceError(path.string, .unknownKind(found: "this is neither a file nor a directory"))
    case nil:
      _ = try ReadableFile(path)  // says why it cannot be opened
      throw WeightSourceError(path.string, .unknownKind(found: "this cannot be looked at"))
    }
  }

  private static func file(_ path: FilePath) throws -> WeightSourceKind {
    let file = try ReadableFile(path)
    let start = try file.bytes(0..<min(file.byteCount, 512))
    if start.starts(with: Array("GGUF".utf8)) { return .gguf }
    if start.starts(with: Array("version https://git-lfs".utf8)) {
      throw WeightSourceError(path.string, .unknownKind(found: "this is a Git LFS pointer, not the file itself. Run 'git lfs pull'"))
    }
    let name = path.lastComponent?.string ?? path.string
    let directory = path.removingLastComponent()
    throw WeightSourceError(
      path.string,
      .unknownKind(
        found: name.hasSuffix(".safetensors") || name.hasSuffix(".engine") || name == "config.json"
          ? "this is one file of a directory. Name the directory\(directory.isEmpty ? "" : ", \(directory)")"
          : "this file does not start as a GGUF file does"))
  }

  private static func directory(_ path: FilePath) throws -> WeightSourceKind {
    let names = try Directory.names(in: path)
    func any(_ matches: (String) -> Bool) -> Bool { names.contains(where: matches) }
    if names.contains("adapter_config.json") { return .adapter }
    if any({ $0.hasPrefix("rank") && $0.hasSuffix(".engine") }) { return .engine }
    if any({ $0.hasPrefix("rank") && $0.hasSuffix(".safetensors") }) { return .checkpoint }
    if names.contains(HuggingFaceDirectory.single) || names.contains(HuggingFaceDirectory.index) { return .huggingFace }
    if any({ $0.hasPrefix("pytorch_model") && $0.hasSuffix(".bin") }) { _ = try HuggingFaceDirectory(path) }  // refuses, and says why
    if let gguf = names.first(where: { $0.hasSuffix(".gguf") }) {
      throw WeightSourceError(path.string, .unknownKind(found: "the directory holds a GGUF file. Name the file, \(path.appending(gguf))"))
    }
    if names.contains("adapter_model.safetensors") {
      throw WeightSourceError(path.string, .unknownKind(found: "there is an adapter_model.safetensors but no adapter_config.json"))
    }
    if names.contains("config.json") {
      throw WeightSourceError(path.string, .unknownKind(found: "there is a config.json but no weights beside it"))
    }
    throw WeightSourceError(path.string, .unknownKind(found: names.isEmpty ? "the directory is empty" : "no weights here"))
  }
}
