import Files
import JSON
import Safetensors
import SystemPackage
import Tensors
import TestSupport
import Testing

@Suite struct InspectTests {
  private let directory = TemporaryDirectory()
  private func engine(_ name: String, _ arguments: String...) throws -> FilePath {
    let path = directory(name)
    try Command.build.succeed(["--checkpoint_dir", Project.at("Models/tiny").string, "--output_dir", path.string, "--dtype", "bfloat16"] + arguments)
    return path
  }
  private func inspect(_ path: FilePath, _ arguments: String...) throws -> String {
    let done = try Command.inspect.succeed(["--engine_dir", path.string] + arguments)
    #expect(done.errors.isEmpty)
    return done.output
  }

  @Test func `an engine's plan, weights, lineage and memory are shown`() throws {
    let path = try engine("e")
    let text = try inspect(path)
    for words in [
      "LlamaForCausalLM, bfloat16, 1 rank(s) (tp 1, pp 1), for cpu", "limits", "keys and values", "in bfloat16", "built ", "from huggingFace",
      "attention", "norm", "layers.0.attention.qkv.weight", "operations of other layers", "vocab_embedding.weight", "panel16x2", "changes it", "keeps it", "kernels for",
    ] { #expect(text.contains(words), "\(words) in\n\(text)") }
    #expect(!text.contains("layers.1.attention"))
    #expect(!text.split(separator: "\n", omittingEmptySubsequences: false).contains { $0.hasSuffix(" ") })
    let second = try inspect(path, "--layer", "1")
    #expect(second.contains("layers.1.mlp") && !second.contains("layers.0.attention") && !second.contains("ln_f"))
  }

  @Test func `JSON has the plan and the lineage as the engine has them`() throws {
    let path = try engine("e", "--tp_size", "2")
    let all = try JSONValue(parsing: try inspect(path, "--json"))
    let lineage = try JSONValue(parsing: try #require(text(path.appending("lineage.json"))))
    #expect(all["lineage"] == lineage)
    #expect(all["config"] == (try JSONValue(parsing: try #require(text(path.appending("config.json"))))))
    let ranks = try #require(all["ranks"]?.array)
    #expect(ranks.count == 2 && ranks[1]["plan"]?["rank"] == 1 && ranks[0]["missing"] == [])
    let weights = try #require(ranks[0]["plan"]?["weights"]?.object)
    #expect(ranks[0]["sha256"]?.object?.keys.elementsEqual(weights.keys) == true)
    let one = try JSONValue(parsing: try inspect(path, "--json", "--rank", "1", "--layer", "0"))
    #expect(one["ranks"]?.array?.count == 1)
    let some = try #require(one["ranks"]?.array?.first?["plan"]?["weights"]?.object)
    #expect(!some.isEmpty && some.count < weights.count && some.keys.allSatisfy { $0.contains(".layers.0.") })
  }

  @Test func `compiled kernels are shown, with what they were made of`() throws {
    let path = try engine("e"), name = path.appending("rank0.engine")
    let old = try SafetensorsFile(name)
    let planText = try #require(old.header.metadata["plan"])
    var plan = try #require(try JSONValue(parsing: planText).object)
    plan["formatVersion"] = 3
    plan["artifacts"] = [
      [
        "name": "cuda.sm_90a.rows", "byteCount": 2048, "sha256": .string(String(repeating: "0a", count: 32)), "source": .string(String(repeating: "b1", count: 32)),
        "options": ["--std=c++17", "-DDK_HEAD=64"], "architecture": "sm_90a", "compiler": "NVRTC 13.5.37",
      ]
    ]
    var tensors = old.header.entries.map { ($0.name, $0.description) }
    tensors.append(("cuda.sm_90a.rows", TensorDescription(shape: [2048], elementType: .uint8)))
    let file = try WritableFile(creating: directory("new"))
    _ = try SafetensorsWriter(
      file: file, metadata: ["format": "drydock-engine", "plan": JSONValue.object(plan).serialized()], tensors: tensors, dataAlignment: 4096)
    try file.close()
    directory.write("e/rank0.engine", try #require(contents(directory("new"))))
    let shown = try inspect(path)
    for words in ["carries  1 compiled programs for sm_90a, 2.0 kB, by NVRTC 13.5.37", "cuda.sm_90a.rows", "0a0a0a0a0a0a0a0a", "b1b1b1b1b1b1b1b1", "-DDK_HEAD=64"] {
      #expect(shown.contains(words), "\(words) in\n\(shown)")
    }
    #expect(try !inspect(path, "--layer", "0").contains("cuda.sm_90a.rows"))
    let listed = try JSONValue(parsing: try inspect(path, "--json"))["ranks"]?.array?.first?["plan"]?["artifacts"]
    #expect(listed == plan["artifacts"])
  }

  @Test func `what files say does not steer the terminal`() throws {
    let path = try engine("e")
    let lineage = try #require(text(path.appending("lineage.json")))
    directory.write("e/lineage.json", lineage.replacing(#""tool": "drydock"#, with: #""tool": "\u001b[31m\nrank9.engine: drydock"#))
    let shown = try inspect(path)
    #expect(shown.contains(#"\u{1b}[31m\u{a}rank9.engine"#) && !shown.contains("\u{1B}"), "\(shown.prefix(600))")
  }

  @Test func `a stripped engine says what is missing, and what is no engine is told`() throws {
    let path = try engine("e", "--strip_plan")
    #expect(try inspect(path).contains("stripped: fill it with trtllm-refit"))
    #expect(try inspect(path).contains("fills it"))
    let missing = try #require(try JSONValue(parsing: try inspect(path, "--json"))["ranks"]?.array?.first?["missing"]?.array)
    #expect(!missing.isEmpty)
    for (arguments, status, words) in [
      (["--engine_dir", Project.at("Models/tiny").string], Int32(1), "trtllm-build"), (["--engine_dir", directory("no").string], 1, "no"),
      (["--engine_dir", path.string, "--layer", "99"], 2, "--layer is 99"), (["--engine_dir", path.string, "--rank", "7"], 2, "--rank is 7"),
      (["--engine_dir", path.string, "--layer", "-1"], 2, "--layer is -1"), ([], 2, "missing: --engine_dir <dir>"),
    ] {
      let done = try Command.inspect(arguments)
      #expect(done.status == status && done.errors.contains(words) && done.output.isEmpty, "\(arguments): \(done)")
    }
  }
}
