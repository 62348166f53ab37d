import Checkpoints
import Files
import Safetensors
import SystemPackage
import Tensors
import TestSupport
import Testing

struct CheckpointTests {
  let directory = TemporaryDirectory()

  func config(_ extra: String = "") -> String {
    #"{"architecture": "LlamaForCausalLM", "dtype": "float16", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2\#(extra)}"#
  }
  func rank(_ name: String) throws {
    let writer = try SafetensorsWriter(
      file: WritableFile(creating: directory(name)), tensors: [("a", TensorDescription(shape: [1], elementType: .uint8))])
    try writer.file.close()
  }
  func refusal() -> String? {
    do throws(CheckpointError) { _ = try Checkpoint(directory: directory.path) } catch { return error.description }
    return nil
  }

  @Test func `files are told apart: ranks, companions, what is too much`() throws {
    directory.write("config.json", config(#", "mapping": {"world_size": 4, "tp_size": 2, "cp_size": 2}"#))
    for index in 0..<3 { try rank("rank\(index).safetensors") }
    directory.write("tokenizer.json", "{}")
    directory.write("rankX.safetensors", "")
    directory.write("sub/file", "")
    let checkpoint = try Checkpoint(directory: directory.path)
    #expect(checkpoint.ranks.count == 2 && checkpoint.file(ofRank: 3).path.lastComponent == "rank1.safetensors")
    // Weights of somebody else do not travel along.
    #expect(checkpoint.auxiliaryFiles == ["tokenizer.json"])
    #expect(checkpoint.files.surplusFiles == ["rank2.safetensors"] && checkpoint.files.directories == ["sub"])
  }
  @Test func `every missing rank file is named at once`() throws {
    directory.write("config.json", config(#", "mapping": {"tp_size": 4}"#))
    try rank("rank1.safetensors")
    let message = try #require(refusal())
    for name in ["rank0", "rank2", "rank3"] { #expect(message.contains("\(name).safetensors")) }
    #expect(!message.contains("rank1.safetensors"))
  }
  @Test func `a missing directory, a file, a missing configuration, a broken one: each is said`() throws {
    #expect(refusal()?.contains("config.json") == true)
    directory.write("config.json", "{\"architecture\": }")
    #expect(refusal()?.contains("config.json: invalid JSON at byte 17") == true)
    directory.write("config.json", "[]")
    #expect(refusal()?.contains("object") == true)
    directory.write("config.json", config())
    #expect(refusal()?.contains("rank0.safetensors missing") == true)
    makeDirectory(directory("rank0.safetensors"))
    #expect(refusal()?.contains("rank0.safetensors: not a regular file") == true)
    let error = #expect(throws: CheckpointError.self) { try Checkpoint(directory: directory("config.json")) }
    #expect(error?.problem == .notADirectory)
    #expect(throws: CheckpointError.self) { try Checkpoint(directory: directory("absent")) }
  }
  @Test func `a configuration that is a directory or far too large is refused`() {
    makeDirectory(directory("config.json"))
    #expect(refusal()?.contains("not a regular file") == true)
  }
  @Test func `mixed precision takes its layers from quant_cfg.json`() throws {
    directory.write("config.json", config(#", "quantization": {"quant_algo": "MIXED_PRECISION"}"#))
    try rank("rank0.safetensors")
    #expect(refusal()?.contains("quant_cfg.json") == true)
    directory.write("quant_cfg.json", "{}")
    #expect(refusal()?.contains("quantized_layers") == true)
    directory.write(
      "quant_cfg.json",
      #"{"quant_algo": "MIXED_PRECISION", "quantized_layers": {"transformer.layers.0.mlp.fc": {"quant_algo": "FP8"}, "transformer.layers.0.mlp.proj": {"quant_algo": "FP8"}, "transformer.layers.1.attention.qkv": {"quant_algo": "W4A16_AWQ"}}}"#
    )
    let layers = try Checkpoint(directory: directory.path).config.quantization.layers
    #expect(layers["transformer.layers.1.attention.qkv"] == .w4a16AWQ && layers["transformer.layers.0.mlp"] == .fp8)
    directory.write(
      "quant_cfg.json", #"{"quantized_layers": {"x": {"quant_algo": "W3"}}}"#)
    #expect(refusal()?.contains("W3") == true)
  }
}
