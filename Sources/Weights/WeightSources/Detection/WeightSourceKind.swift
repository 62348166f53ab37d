/// What a path holds; ``FoundSource`` tells it from everything that is there.
public enum WeightSourceKind: String, Sendable, CaseIterable {
  /// A TensorRT-LLM checkpoint, pruned or not.
  case checkpoint
  /// A Hugging Face model directory.
  case huggingFace
  /// A GGUF file, or the parts of one.
  case gguf
  /// A PEFT adapter directory.
  case adapter
  /// An adapter in a GGUF file.
  case ggufAdapter
  /// An engine directory.
  case engine

  /// The kind in words.
  public var name: String {
    switch self {
    case .checkpoint: "TensorRT-LLM checkpoint"
    case .huggingFace: "Hugging Face model"
    case .gguf: "GGUF file"
    case .adapter: "PEFT adapter"
    case .ggufAdapter: "LoRA adapter in a GGUF file"
    case .engine: "engine"
    }
  }
  /// Whether it changes a model and is none.
  public var isAdapter: Bool { self == .adapter || self == .ggufAdapter }
  var withArticle: String { self == .engine ? "an engine" : "a \(name)" }

  /// Which commands take it, as a sentence.
  var takenBy: String {
    switch self {
    case .checkpoint: "trtllm-build, trtllm-prune and trtllm-refit take it as --checkpoint_dir."
    case .huggingFace, .gguf: "trtllm-convert and trtllm-build take it, trtllm-run and trtllm-serve run it, trtllm-refit takes it as --checkpoint_dir."
    case .adapter, .ggufAdapter: "trtllm-refit puts it on an engine's weights, as --checkpoint_dir or --lora_dir."
    case .engine: "trtllm-run and trtllm-refit take it as --engine_dir, trtllm-serve as its first word."
    }
  }
}

/// What a flag asks a path for.
public enum SourceRole: Sendable, CaseIterable {
  /// Anything.
  case any
  /// `trtllm-convert --model_dir`
  case model
  /// `trtllm-prune --checkpoint_dir`
  case checkpoint
  /// `trtllm-build --checkpoint_dir`
  case build
  /// `trtllm-refit --checkpoint_dir`
  case weights
  /// `trtllm-refit --base_checkpoint_dir`
  case base
  /// `trtllm-refit --lora_dir`
  case adapter
  /// What `trtllm-run` and `trtllm-serve` run
  case run
  /// `trtllm-refit --engine_dir`
  case engine

  var accepted: Set<WeightSourceKind> {
    switch self {
    case .any: Set(WeightSourceKind.allCases)
    case .model: [.huggingFace, .gguf]
    case .checkpoint: [.checkpoint]
    case .build: [.checkpoint, .huggingFace, .gguf]
    case .weights: [.checkpoint, .huggingFace, .gguf, .adapter, .ggufAdapter, .engine]
    case .base: [.checkpoint, .huggingFace, .gguf, .engine]
    case .adapter: [.adapter, .ggufAdapter]
    case .run: [.engine, .checkpoint, .huggingFace, .gguf]
    case .engine: [.engine]
    }
  }

  /// What is wanted, in words.
  var wanted: String {
    switch self {
    case .any: "a model, a checkpoint, an adapter or an engine"
    case .model: "a Hugging Face directory or a GGUF file"
    case .checkpoint: "a TensorRT-LLM checkpoint"
    case .build: "a TensorRT-LLM checkpoint, a Hugging Face directory or a GGUF file"
    case .weights: "a model, an adapter, a checkpoint or an engine"
    case .base: "a model, a checkpoint or an engine to put the adapter on"
    case .adapter: "a PEFT adapter, or a LoRA adapter in a GGUF file"
    case .run: "an engine or a model"
    case .engine: "an engine directory"
    }
  }

  /// For this kind in this role there is a better sentence than the kind's own.
  func remedy(for kind: WeightSourceKind) -> String {
    switch (self, kind) {
    case (.model, .checkpoint), (.model, .engine): kind.takenBy
    case (.model, _) where kind.isAdapter, (.build, _) where kind.isAdapter: "It changes a model but is none: name the base model here, and give the adapter to trtllm-refit as --lora_dir."
    case (.base, _) where kind.isAdapter: "It changes a model but is none: name a base model here."
    case (.checkpoint, .huggingFace), (.checkpoint, .gguf): "Make a checkpoint of it first: trtllm-convert --model_dir MODEL --output_dir CHECKPOINT"
    case (.checkpoint, .engine), (.build, .engine): "Name the checkpoint that it was built from. " + kind.takenBy
    case (.run, _) where kind.isAdapter: "It changes a model but is none: put it on an engine with trtllm-refit, and name that."
    case (.engine, .checkpoint), (.engine, .huggingFace), (.engine, .gguf): "Build an engine of it first: trtllm-build --checkpoint_dir MODEL --output_dir ENGINE"
    case (.adapter, .huggingFace), (.adapter, .gguf), (.adapter, .checkpoint), (.adapter, .engine):
      "It is a whole model: trtllm-refit takes it as --checkpoint_dir."
    default: kind.takenBy
    }
  }
}
