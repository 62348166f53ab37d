import Files
import SystemPackage
import Tensors

/// Says what a directory holds that is no source of weights.
struct OtherFormats {
  let survey: DirectorySurvey
  let role: SourceRole

  /// What is there and what to do, best guess first.
  var explanation: WeightSourceError {
    let (what, remedy) =
      links ?? pieces ?? addresses ?? unfinished ?? adapterParts ?? incomplete ?? pickles ?? shards ?? authorsFormat ?? otherLibraries ?? subdirectories ?? packed ?? leftovers
    return WeightSourceError(survey.path.string, .found(what, remedy: remedy))
  }

  private typealias Answer = (what: String, remedy: String)
  private var path: FilePath { survey.path }

  private var links: Answer? {
    let lost = survey.dangling.filter { name in [".safetensors", ".gguf", ".json", ".engine"].contains { name.hasSuffix($0) } }
    guard !lost.isEmpty else { return nil }
    return (
      "\(NameSummary(lost, limit: 4)) \(lost.count == 1 ? "is a link that leads" : "are links that lead") to nothing",
      "Download the model again, or copy it with the files that the links lead to (cp -L)."
    )
  }

  private var pieces: Answer? {
    survey.files.lazy.compactMap { FilePieces($0, among: survey.files) }.first?.explanation
  }

  /// What wget makes of an address with a question.
  private var addresses: Answer? {
    guard let file = survey.first({ $0.contains("?") && [".safetensors?", ".gguf?", ".json?"].contains(where: $0.contains) }) else { return nil }
    return ("names have the end of an address (\(file.prefix(100)))", "Rename the files: without the question mark and what follows it.")
  }

  private var packed: Answer? {
    let names = survey.files.filter { name in [".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"].contains { name.lowercased().hasSuffix($0) } }
    return names.isEmpty ? nil : ("the files are packed (\(NameSummary(names, limit: 3)))", "Unpack them.")
  }

  private var unfinished: Answer? {
    // ModelScope's.
    if survey.weights == .none, let place = survey.directories.first(where: { $0.hasPrefix("._____temp") }) {
      return ("the download is not finished: \(place)", "Finish the download.")
    }
    let found = UnfinishedDownload.all(in: path, survey.names)
    guard !found.isEmpty else { return nil }
    return ("the download is not finished: \(NameSummary(found, limit: 4))", "Finish the download.")
  }

  private var adapterParts: Answer? {
    guard !survey.has(AdapterFiles.configuration) else { return nil }
    if survey.has("adapter_model.safetensors") || survey.has("adapter_model.bin") {
      return ("there are an adapter's weights, but no adapter_config.json", "Copy the adapter's whole directory.")
    }
    return nil
  }

  private var incomplete: Answer? {
    switch survey.weights {
    case .found(let choice) where !survey.has("config.json"):
      ("there are weights (\(choice.name)), but no config.json beside them", "Download the model's config.json into the directory.")
    case .incomplete(let present, let missing):
      (
        "there is no index, and of a set of \(present.count + missing.count) files \(NameSummary(missing, limit: 5)) \(missing.count == 1 ? "is" : "are") missing",
        survey.has(AdapterFiles.configuration)
          ? "Download the missing files, or give the adapter beside them to trtllm-refit as --lora_dir." : "Download the missing files."
      )
    case .several(let names):
      (
        "there are several sets of weights and no \(ModelFiles.single): \(NameSummary(names, limit: 6))",
        "Keep one of them in the directory, or name one \(ModelFiles.single)."
      )
    default: nil
    }
  }

  /// A trainer's own checkpoints, whose parts only its program can put together.
  private var shards: Answer? {
    let steps = survey.directories.filter { $0.hasPrefix("global_step") }.sorted()
    if !steps.isEmpty || survey.has("zero_to_fp32.py") {
      return (
        "the weights are in a DeepSpeed checkpoint only (\(NameSummary(steps.isEmpty ? ["zero_to_fp32.py"] : steps, limit: 3)))",
        "Gather them: python zero_to_fp32.py . OUTPUT --safe_serialization, in the directory."
      )
    }
    let parts = survey.directories.filter { $0.hasPrefix("pytorch_model_fsdp") }.sorted() + survey.files.filter { $0.hasSuffix(".distcp") }.sorted()
    guard let first = parts.first else { return nil }
    return (
      "the weights are in shards of FSDP only (\(NameSummary(parts, limit: 3)))",
      "Gather them: accelerate merge-weights \(first.hasSuffix(".distcp") ? "." : first) OUTPUT, in the directory; or save with a full state dict."
    )
  }

  private var pickles: Answer? {
    let names = survey.files.filter { name in
      ["pytorch_model", "model"].contains { name.hasPrefix($0) } && [".bin", ".pt", ".pth", ".ckpt"].contains { name.hasSuffix($0) }
    }
    guard !names.isEmpty else { return nil }
    return (
      "only \(NameSummary(names, limit: 3)) is here. Such files can run code when they are read, so they are never opened",
      "Get the model's safetensors files, or save it again with transformers: save_pretrained(…)."
    )
  }

  /// Meta's and Mistral's files as they publish them beside, or before, those for Hugging Face.
  private var authorsFormat: Answer? {
    guard let file = survey.first({ $0.hasPrefix("consolidated") && [".safetensors", ".pth", ".pt"].contains($0.suffix(from: $0.lastIndex(of: ".") ?? $0.endIndex)) })
    else { return nil }
    return ("\(file) holds the weights under their author's own names, which are not read", "Download the files for transformers of the same model: config.json and model*.safetensors.")
  }

  private var otherLibraries: Answer? {
    let formats: [(String, (String) -> Bool)] = [
      ("TensorFlow", { $0 == "tf_model.h5" || $0.hasSuffix(".ckpt.index") || $0 == "saved_model.pb" }),
      ("Flax", { $0.hasPrefix("flax_model") }), ("ONNX", { $0.hasSuffix(".onnx") || $0.hasSuffix(".onnx_data") }),
      ("MLX", { $0.hasSuffix(".npz") }), ("Rust", { $0.hasSuffix(".ot") }), ("OpenVINO", { $0.hasPrefix("openvino_") }),
      ("Core ML", { $0.hasSuffix(".mlpackage") || $0.hasSuffix(".mlmodel") }), ("llama.cpp's old", { $0.hasPrefix("ggml-") && $0.hasSuffix(".bin") }),
      ("PyTorch", { $0.hasSuffix(".pt") || $0.hasSuffix(".pth") }),
      ("TensorRT", { $0.hasSuffix(".engine") || $0.hasSuffix(".plan") }),
    ]
    for (name, matches) in formats {
      guard let file = survey.first(matches) else { continue }
      return ("the weights are here in \(name) format only (\(file)), which is not read", "Download the model's safetensors files, or a GGUF file.")
    }
    return nil
  }

  /// Directories one level below that hold something.
  private var subdirectories: Answer? {
    if survey.path.lastComponent?.string == "snapshots" || survey.directories.contains(where: { $0.hasPrefix(HubCache.prefix) }) {
      let names = survey.directories.filter { !$0.hasPrefix(".") }
      return ("this is a directory of Hugging Face's cache", "Name a model in it: \(NameSummary(names, limit: 4))")
    }
    var found: [String] = []
    for name in survey.directories.prefix(64) where !name.hasPrefix(".") {
      guard let below = try? DirectorySurvey(path.appending(name)) else { continue }
      if let sign = below.signs.first {
        found.append("\(name) (\(sign.kind.name))")
      } else if !below.ggufs.isEmpty {
        found.append("\(name) (GGUF)")
      }
      if found.count > 8 { break }
    }
    guard let first = found.first else { return nil }
    return found.count == 1
      ? ("the weights are in a directory below: \(first)", "Name it: \(path.appending(String(first.prefix { $0 != "(" }.dropLast())))")
      : ("the weights are in directories below: \(NameSummary(found, limit: 8))", "Name one of them.")
  }

  private var leftovers: Answer {
    if survey.names.isEmpty { return ("the directory is empty", "Name \(role.wanted).") }
    let known = survey.files.filter { $0.hasSuffix(".json") || $0.hasSuffix(".jinja") || $0 == "merges.txt" || $0.hasSuffix(".model") }
    if survey.has("config.json") { return ("there is a config.json but no weights beside it", "Download the model's weights (model*.safetensors).") }
    if survey.has("tokenizer.json") || survey.has("tokenizer.model") {
      return ("there are a tokenizer's files but no weights", "Download the model's weights and its config.json.")
    }
    let seen = known.isEmpty ? survey.names.filter { !$0.hasPrefix(".") } : known
    return ("no weights here, only \(NameSummary(seen.isEmpty ? survey.names : seen, limit: 4))", "Name \(role.wanted).")
  }
}
