import Tensors

/// What does not fit, gathered by cause while an adapter is looked through.
struct Findings {
  var elementTypes: [String] = []
  /// Parameters that the model's module does not have.
  var without: [String] = []
  /// Weights for which the adapter has two tensors.
  var twice: [String] = []
  var partners: [String] = []
  /// Magnitudes without `use_dora`.
  var unasked: [String] = []
  var biases: [String] = []
  /// Trained biases of modules that have none in the model.
  var trainedBiases: [String] = []
  var ranks: [String] = []
  var shapes: [String] = []
  /// Of one dimension, which they should not have, or not so.
  var flat: [String] = []
  var empty: [String] = []
  /// Sizes of the vocabulary that the adapter's tensors have.
  var vocabularies: Set<Int> = []
  /// Modules that two settings claim, which PEFT refuses.
  var claimedTwice: [String] = []
  /// Modules that are saved whole and have trained tokens, too.
  var wholeWithRows: [String] = []
  /// Of token indices: modules with a bias, which PEFT then leaves out.
  var biased: [String] = []
  /// Modules that no configuration's setting names, by setting: PEFT does not load their tensors.
  var unnamed: [String: [String]] = [:]
  /// The largest token beyond the vocabulary.
  var tokenBeyond: Int?

  func problems(configuredRank: Int?, pools: Bool, vocabulary: Int) -> [AdapterProblem] {
    var problems: [AdapterProblem] = []
    func add(_ kind: AdapterProblem.Kind, _ names: [String], _ text: (NameSummary) -> String, _ remedy: String) {
      guard !names.isEmpty else { return }
      problems.append(AdapterProblem(kind, naming: names.sorted(), remedy: remedy, text))
    }
    if let size = vocabularies.max() {
      problems.append(
        AdapterProblem(
          .vocabulary,
          size > vocabulary
            ? "the vocabulary grew from \(vocabulary) to \(size) tokens before the adapter was trained, and the engine has \(vocabulary)"
            : "the adapter's model has \(vocabularies.min() ?? size) tokens, and the engine \(vocabulary)",
          remedy: "Merge the adapter into the model it was trained on, with its \(size) tokens, and build a new engine from that."))
    } else if let token = tokenBeyond {
      problems.append(
        AdapterProblem(
          .vocabulary, "the adapter changes token \(token), and the engine has \(vocabulary) tokens: the vocabulary grew before the adapter was trained",
          remedy: "Merge the adapter into the model it was trained on, and build a new engine from that."))
    }
    add(
      .settings, claimedTwice, { "\($0.count) modules are named by two of target_modules, target_parameters, modules_to_save and trainable_token_indices, which PEFT refuses: \($0)" },
      AdapterPlan.otherSettings)
    add(
      .settings, wholeWithRows, { "\($0.count) modules are named by modules_to_save and by trainable_token_indices, which is not supported together: \($0)" },
      LoRAConfig.mergeRemedy)
    add(
      .settings, biased, { "trainable_token_indices names \($0.count) modules with a bias, which PEFT then leaves out: \($0)" }, LoRAConfig.mergeRemedy)
    add(.settings, biases, { "\($0.count) tensors are a bias (lora_bias) for modules that have none in the model: \($0)" }, LoRAConfig.mergeRemedy)
    add(
      .biases, trainedBiases, { "\($0.count) tensors of the adapter are trained biases, and this model's network has none of them: \($0)" },
      "Merge the adapter into the model it was trained on, with its biases, and build a new engine from that.")
    add(.settings, unasked, { "\($0.count) tensors are magnitudes without use_dora: \($0)" }, AdapterPlan.saveAgain)
    add(.partners, partners, { "\($0.count) tensors or their partners are not there: \($0)" }, AdapterPlan.saveAgain)
    add(.names, twice, { "there are two tensors for each of \($0)" }, AdapterPlan.saveAgain)
    add(.modules, without, { "\($0.count) tensors are for parameters that the model does not have: \($0)" }, AdapterPlan.otherModel)
    add(.elementTypes, elementTypes, { "only F16, BF16, F32 and F64 are numbers here: \($0)" }, "Save the adapter again in one of these.")
    add(
      .shapes, empty, { "\($0.count) tensors are empty: \($0)" },
      "They are shards that DeepSpeed or FSDP did not gather: save the adapter again from gathered parameters.")
    add(
      .shapes, flat, { "\($0.count) tensors do not fit: \($0)" },
      "Either they are flat shards that FSDP or DeepSpeed did not gather (save the adapter again from gathered parameters), or it was trained on another model.")
    add(
      .shapes, ranks,
      { summary in
        configuredRank.map { "\(summary.count) tensors have another rank than adapter_config.json says (r = \($0)): \(summary)" }
          ?? "\(summary.count) tensors have another rank than their partners: \(summary)"
      },
      configuredRank == nil ? AdapterPlan.saveAgain : "Check that both files are of the same adapter.")
    add(
      .shapes, shapes, { "\($0.count) tensors do not fit: \($0)" },
      pools ? "use_qalora averages inputs in groups. " + LoRAConfig.mergeRemedy : AdapterPlan.otherModel)
    return problems
  }

  /// What is left out, a line for each setting.
  func warnings(in place: String) -> [SourceWarning] {
    unnamed.keys.sorted().compactMap { setting in
      guard let names = unnamed[setting] else { return nil }
      return SourceWarning(setting, in: place, "does not take \(names.count) of the tensors, left out as PEFT does: \(SourceWarning.shortened(NameSummary(names.sorted(), limit: 4).description, to: 110))")
    }
  }
}
