import SystemPackage
public import WeightSources

/// One reason why a source cannot be refitted into an engine, or something to know about it.
public enum RefitProblem: Sendable, Equatable {
  /// A tensor that a refittable or absent weight needs is not in the source.
  case missing(tensor: String, rank: Int, isStripped: Bool = false)
  /// A tensor of another logical shape than the plan needs.
  case shapeMismatch(tensor: String, rank: Int, engine: [Int], checkpoint: [Int])
  /// A tensor in an element type that the engine's weights cannot be made from.
  case elementType(tensor: String, rank: Int, engine: String, checkpoint: String)
  /// The tensor is there with no elements.
  case notInitialized(tensor: String, rank: Int)
  /// A field that decides the structure differs.
  case configuration(field: String, engine: String, checkpoint: String)
  /// Plans differ, or one is not its configuration's, and no field explains it.
  case plan(reason: String)
  /// The number of tokens differs, and nothing else of the model's shapes.
  case vocabulary(engine: String, checkpoint: String, tensors: [String])
  /// A weight that the engine does not let a refit change has other values in the source.
  case frozenDiffers(weight: String, rank: Int)
  /// The engine shares lm_head with the embedding table, the source has two different tables.
  case untied
  /// The engine has a table of its own for lm_head, the source has one for both: a build would share it.
  case shared
  /// The engine has its own lm_head, the source has none.
  case tied(rank: Int)
  /// A LoRA adapter over weights that carry one already: the engine's own, or those of another that is the source.
  case adapterOnAdapter(adapters: [String], parent: [String], isSource: Bool)
  /// The checkpoint is sharded in another way than the engine.
  case sharding(field: String, engine: Int, checkpoint: Int, tensorParallel: Int, pipelineParallel: Int)
  /// The engine's plan is not the one that its lineage was written for.
  case edited(file: String)
  /// An adapter that cannot be put on the model.
  case adapter(path: String, AdapterProblem)
  /// Tensors of a model in its author's format, under the author's names.
  case source(heading: String, detail: String, remedy: String, count: Int = 1)
  /// The tokenizer that the source brings has ids that the engine's vocabulary lacks.
  case tokenizer(String)
  /// The tokenizer or chat template that the source brings cannot be used, and the engine's own can.
  case unusableFiles(String)
  /// A warning, where every warning is to be an error.
  case warning(String)

  /// The first words of upstream's message for the same thing, so that scripts and searches find it.
  public var heading: String {
    switch self {
    case .missing: "Missing refittable weights from checkpoint"
    case .shapeMismatch: "Failed to refit weight: shape mismatch"
    case .elementType: "Failed to refit weight: element type mismatch"
    case .notInitialized: "Failed because weight is not initialized in model"
    case .configuration: "Configurations differ"
    case .plan: "Plans differ"
    case .vocabulary: "Failed to refit weight: shape mismatch (the vocabulary has another size)"
    case .frozenDiffers: "Weights that this engine does not let a refit change have other values"
    case .untied, .tied, .shared: "Tied and untied embeddings"
    case .adapterOnAdapter(_, _, let isSource):
      isSource ? "The source's weights already carry an adapter" : "The engine's weights already carry an adapter"
    case .sharding: "The checkpoint is sharded for other ranks"
    case .edited: "The engine was changed after it was written"
    case .adapter(_, let problem): problem.heading
    case .source(let heading, _, _, _): heading
    case .tokenizer: "The source's tokenizer does not fit the engine's vocabulary"
    case .unusableFiles: "The source's tokenizer or chat template cannot be used, and the engine's can"
    case .warning: "Warnings, which --strict makes errors"
    }
  }

  /// How many tensors it is about.
  public var count: Int { if case .source(_, _, _, let count) = self { count } else { 1 } }

  /// Whether a model of another structure has it for that reason alone.
  var followsFromStructure: Bool {
    switch self {
    case .missing, .shapeMismatch, .tied: true
    default: false
    }
  }

  /// One line of the table below the heading.
  public var detail: String {
    switch self {
    case .missing(let tensor, let rank, _): "rank \(rank)  \(tensor)"
    case .shapeMismatch(let tensor, let rank, let engine, let checkpoint):
      "rank \(rank)  \(tensor)  engine \(engine)  checkpoint \(checkpoint)"
    case .elementType(let tensor, let rank, let engine, let checkpoint):
      "rank \(rank)  \(tensor)  engine \(engine)  checkpoint \(checkpoint)"
    case .notInitialized(let tensor, let rank): "rank \(rank)  \(tensor)  (empty: pruned?)"
    case .configuration(let field, let engine, let checkpoint): "\(field)  engine \(engine)  checkpoint \(checkpoint)"
    case .vocabulary(let engine, let checkpoint, let tensors):
      "vocab_size  engine \(engine)  checkpoint \(checkpoint)" + (tensors.isEmpty ? "" : "  (\(tensors.joined(separator: ", ")))")
    case .frozenDiffers(let weight, let rank): "rank \(rank)  \(weight)"
    case .untied: "the engine uses its embedding table as lm_head; the checkpoint has a different lm_head.weight"
    case .shared: "the engine has an lm_head.weight of its own; the source has one table for both"
    case .tied(let rank): "rank \(rank)  the engine has its own lm_head.weight; the checkpoint has none (tied)"
    case .sharding(let field, let engine, let checkpoint, _, _): "\(field)  engine \(engine)  checkpoint \(checkpoint)"
    case .edited(let file): "\(file)  the plan, or lineage.json, is not what was written"
    case .adapter(let path, let problem): "\(FilePath(path).lastComponent?.string ?? path)  \(problem.detail)"
    case .source(_, let detail, _, _): detail
    case .warning(let text), .tokenizer(let text), .unusableFiles(let text): text
    case .plan(let reason): reason
    case .adapterOnAdapter(let adapters, let parent, _):
      "adapters: \(adapters.joined(separator: ", "))" + (parent.isEmpty ? "" : "; refitted from the engine with digest \(parent[0].prefix(16))…")
    }
  }

  /// What to do about it, in a sentence or two.
  public var remedy: String {
    switch self {
    case .missing(_, _, true): "The source is a stripped engine: give the checkpoint that it was built from, or the engine before it was stripped."
    case .missing: "Give the complete checkpoint the engine was built for, converted with the same --tp_size and --pp_size."
    case .shapeMismatch: "Shapes are part of the plan: build a new engine with trtllm-build."
    case .elementType: "Convert the model again to float16, bfloat16 or float32."
    case .notInitialized: "Give the checkpoint before it was pruned."
    case .configuration: "These are part of the plan: build a new engine with trtllm-build, or convert the model like the engine's."
    case .plan: "Build the engine again with trtllm-build; the plan of one that was copied or edited in part cannot be trusted."
    case .vocabulary(let engine, let checkpoint, _):
      (Int(checkpoint) ?? 0 > Int(engine) ?? 0 ? "Tokens were added to the model" : "Tokens were taken from the model")
        + ", and the size of its tables is part of the plan: build a new engine with trtllm-build."
    case .frozenDiffers:
      "Build a new engine, or build with --refit_scope all so that they can change, or pass --ignore_frozen to keep the engine's."
    case .sharding(_, _, _, let tensor, let pipeline):
      "Make a checkpoint that fits: trtllm-convert --model_dir MODEL --output_dir CHECKPOINT --tp_size \(tensor) --pp_size \(pipeline)"
    case .edited: "trtllm-refit --verify_engine DIR tells what differs. Copy the engine again, or build it again with trtllm-build."
    case .adapter(_, let problem): problem.remedy
    case .source(_, _, let remedy, _): remedy
    case .tokenizer:
      "Give the tokenizer that these weights were trained with, or pass --keep_tokenizer to change weights only."
    case .unusableFiles: "Save or download these files of the source again, or pass --keep_tokenizer to leave the engine's as they are."
    case .warning: "Mend what they name, or leave --strict out."
    case .untied, .shared: "Build a new engine with trtllm-build from this source."
    case .tied: "Build a new engine with trtllm-build from this source. On several ranks, convert it again: trtllm-convert writes lm_head.weight then."
    case .adapterOnAdapter(_, _, true):
      "Adapters are never stacked silently: name an engine or a checkpoint without adapters as --checkpoint_dir."
    case .adapterOnAdapter:
      "Adapters are never stacked silently: refit the parent engine, or give the base weights with --base_checkpoint_dir."
    }
  }
}

/// Everything that is wrong with a source, found before anything was written.
public struct RefitError: Error, Sendable, Equatable, CustomStringConvertible {
  /// At least one; the message shows them under their headings.
  public let problems: [RefitProblem]
  public var description: String { RefitProblem.report(problems) + "\nNothing was written." }
}
