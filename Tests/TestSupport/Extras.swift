import Foundation
public import SystemPackage
public import Testing

/// Things that not every machine has.
public enum Extras {
  private static func variable(_ name: String) -> FilePath? {
    guard let value = ProcessInfo.processInfo.environment[name], !value.isEmpty else { return nil }
    return FilePath(value)
  }
  /// The GGUF file of SmolLM2-135M-Instruct.
  public static let model = variable("DRYDOCK_MODEL")
  /// The GGUF file of Gemma 3 270M.
  public static let gemma = variable("DRYDOCK_GEMMA")
  /// A Python with numpy, safetensors and openai.
  public static let python = variable("DRYDOCK_PYTHON")
  public static let noModel: Comment = "the real model is not here: Scripts/fetch-model gets it, DRYDOCK_MODEL names it"
  public static let noGemma: Comment = "Gemma 3 270M is not here: Scripts/fetch-model gemma3 gets it, DRYDOCK_GEMMA names it"
  public static let noPython: Comment = "no Python with numpy, safetensors and openai: Scripts/test installs one, DRYDOCK_PYTHON names it"
}
