public import Files
public import JSON
public import Safetensors
public import SystemPackage
import Tensors

/// Why a directory is not a checkpoint that can be used.
public struct CheckpointError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What is wrong with the directory, by how it can be mended.
  public enum Problem: Equatable, Sendable {
    /// A file that cannot be opened or read.
    case file(FileError)
    /// A rank file that is not a safetensors file.
    case safetensors(SafetensorsError)
    /// A `config.json` that is not JSON.
    case json(JSONError)
    /// Also for a path at which there is a file.
    case notADirectory
    /// There is no `config.json`: perhaps a model in another format.
    case missingConfig
    /// Rank files that the mapping needs, out of so many.
    case missingFiles([String], expected: Int)
    /// A field of `config.json` has no usable value.
    case field(String, reason: String)
    /// Several fields, each with why it cannot be used.
    case fields([String])
    /// Sizes that contradict each other or are too large: a clause without a full stop.
    case mapping(reason: String)
    /// Anything else, with its remedy.
    case refused(reason: String)
  }
  /// The file or directory that it is about.
  public let path: FilePath
  /// What is wrong there.
  public let problem: Problem

  /// - Parameter path: As messages show it; it need not exist.
  public init(_ path: FilePath, _ problem: Problem) {
    self.path = path
    self.problem = problem
  }

  public var description: String {
    switch problem {
    case .file(let error): error.description
    case .safetensors(let error): error.description
    case .json(let error):
      if case .duplicateKey = error.problem { "\(path): \(error). \(error.remedy)" } else { "\(path): \(error). Mend the file or take it from the original checkpoint." }
    case .notADirectory: "\(path): not a checkpoint directory. Name the directory that holds config.json and rank0.safetensors."
    case .missingConfig:
      "\(path): no config.json here. Name a TensorRT-LLM checkpoint directory; trtllm-convert makes one from a Hugging Face "
        + "model or a GGUF file."
    case .missingFiles(let names, let expected):
      "\(path): \(NameSummary(names)) missing; the mapping in config.json needs \(expected) rank "
        + "file\(expected == 1 ? "" : "s"). Copy the whole checkpoint, or convert it again."
    case .field(let field, let reason): "\(path): field '\(field)' \(reason). Check that config.json is from the same checkpoint."
    case .fields(let all):
      "\(path): \(all.count) fields cannot be used. Check that config.json is from the same checkpoint.\n  "
        + LineSummary.lines(all).joined(separator: "\n  ")
    case .mapping(let reason): "\(path): the mapping is impossible: \(reason). Convert the model again for the wanted ranks."
    case .refused(let reason): "\(path): \(reason)"
    }
  }
}
