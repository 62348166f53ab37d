import Checkpoints
import JSON
import SystemPackage
import Testing

struct ModelNamesTests {
  @Test(arguments: [
    ("SmolLM2-135M-Instruct", "HuggingFaceTB/SmolLM2-135M-Instruct"), ("SmolLM2-135M-Instruct.Q4_1.gguf", "HuggingFaceTB/SmolLM2-135M-Instruct"),
    ("smollm2-135m-instruct-iq3_xs.gguf", "HuggingFaceTB/SmolLM2-135M-Instruct"), ("Smollm2 135M Instruct", "smollm2-135m-instruct"),
    ("Llama-3.1-8B-BF16.gguf", "/data/models/Llama-3.1-8B/"), ("tiny", "drydock/tiny"), ("TinyLlama/TinyLlama_v1.1", "TinyLlama_v1.1"),
    ("Llama-3.2-1B-Instruct", "unsloth/llama-3.2-1b-instruct-unsloth-bnb-4bit"), ("Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4"),
    ("Llama-2-7b", "meta-llama/Llama-2-7b-hf"), ("Llama-3.2-1B-Instruct", #"C:\models\Llama-3.2-1B-Instruct"#), ("m-FP8-dynamic", "org/m"),
    ("SmolLM2-135M", "/hub/models--HuggingFaceTB--SmolLM2-135M/snapshots/93efa2f097d58c2a74874c7e644dbc9b0cee75a2"),
  ])
  func `spellings of one name are the same`(_ mine: String, _ theirs: String) {
    #expect(ModelNames([mine]).include(theirs))
    #expect(ModelNames(["something else", mine]).include(theirs))
  }
  @Test(arguments: [
    ("Llama-3.1-8B", "Llama-3.1-8B-Instruct"), ("Llama-3.1-8B-Instruct", "meta/Llama-3.1-8B"), ("Llama-3.1-8B", "Llama-3-18B.gguf"),
    ("Qwen2", "qwen/Qwen3"), ("SmolLM2-135M", "HuggingFaceTB/SmolLM2-360M"),
  ])
  func `names of two models are not`(_ mine: String, _ theirs: String) { #expect(!ModelNames([mine]).include(theirs)) }

  @Test func `a path gives the names in it`() {
    #expect(ModelNames.inPath("/a/b/SmolLM2.gguf") == ["SmolLM2.gguf"])
    let cache: FilePath = "/hub/models--HuggingFaceTB--SmolLM2-135M/snapshots/93efa2f097d58c2a74874c7e644dbc9b0cee75a2"
    #expect(ModelNames.inPath(cache) == ["HuggingFaceTB/SmolLM2-135M"])
    #expect(ModelNames.inPath(cache.appending("x.gguf")) == ["HuggingFaceTB/SmolLM2-135M", "x.gguf"])
  }
  @Test func `names are kept in a configuration, each once, and nothing strange is read from one`() {
    let names = ModelNames(["a", "", "b", "a", "--"])
    #expect(names.all == ["a", "b"])
    #expect(ModelNames(config: [ModelNames.section: names.json]) == names)
    for config: JSONValue in [[:], ["drydock": 3], ["drydock": ["model_names": "a"]], ["drydock": ["model_names": [1, []]]]] {
      #expect(ModelNames(config: config).isEmpty)
    }
  }
}
