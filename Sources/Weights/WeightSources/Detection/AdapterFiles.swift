import Files
import Safetensors
import SystemPackage
import Tensors

/// What of a PEFT adapter lies in a directory, and what lies beside it and is neither it nor a model.
struct AdapterFiles {
  let survey: DirectorySurvey

  static let configuration = "adapter_config.json"
  static let weights = ["adapter_model.safetensors", "adapters.safetensors"]
  /// ``weights``, and the pickle that is refused by its name.
  static let names = weights + ["adapter_model.bin"]

  /// Why the directory's adapter cannot be opened; nil where its files are there.
  var obstacle: WeightSourceError.Problem? {
    let wanted = [Self.configuration] + Self.weights
    let lost = wanted.filter(survey.dangling.contains)
    if !lost.isEmpty {
      return .found(
        "\(NameSummary(lost)) \(lost.count == 1 ? "is a link that leads" : "are links that lead") to nothing",
        remedy: "Download the adapter again, or copy it with the files that the links lead to (cp -L).")
    }
    if let strange = wanted.first(where: { survey.has($0) && !survey.files.contains($0) }) {
      return .found("\(strange) is no regular file", remedy: "Put the adapter's own file in its place.")
    }
    guard !Self.names.contains(where: survey.files.contains) else { return nil }
    return otherName ?? training ?? .found("there is an adapter_config.json, but no adapter_model.safetensors beside it" + unfinished, remedy: below)
  }

  /// Weights of the adapter under a name that nothing is read from.
  private var otherName: WeightSourceError.Problem? {
    let found = survey.files.filter { name in
      name.contains(".safetensors") && !UnfinishedDownload.isOne(name) && ["adapter", "lora"].contains { name.lowercased().contains($0) }
    }
    guard !found.isEmpty else { return nil }
    let parts = found.filter { $0.hasSuffix(".index.json") || PartName($0, ending: ".safetensors") != nil }
    guard parts.isEmpty else {
      return .found(
        "the adapter's weights are in several files (\(NameSummary(parts, limit: 3))), and PEFT and this read one",
        remedy: "Save it again as one file: save_pretrained with a larger max_shard_size.")
    }
    return .found(
      "the adapter's weights have another name than adapter_model.safetensors: \(NameSummary(found, limit: 4))",
      remedy: "Name the one that is meant adapter_model.safetensors (of mlx-lm: adapters.safetensors).")
  }

  private var training: WeightSourceError.Problem? {
    let steps = survey.directories.filter { $0.hasPrefix("global_step") }
    guard !steps.isEmpty || survey.has("zero_to_fp32.py") else { return nil }
    return .found(
      "there is an adapter_config.json, and its weights only in a DeepSpeed checkpoint (\(NameSummary(steps.isEmpty ? ["zero_to_fp32.py"] : steps, limit: 3)))",
      remedy: "Save the adapter with save_pretrained from gathered parameters, or make its file with zero_to_fp32.py.")
  }

  private var unfinished: String {
    let names = UnfinishedDownload.all(in: survey.path, survey.names)
    return names.isEmpty ? "" : ", only an unfinished download (\(NameSummary(names, limit: 2)))"
  }
  /// Trainers keep states of an adapter in directories of their own.
  private var below: String {
    let held = survey.directories.prefix(256).filter { Directory.kind(of: survey.path.appending($0).appending(Self.configuration)) == .file }
    return held.isEmpty ? "Download or save the adapter again." : "There is an adapter in \(NameSummary(held, limit: 4)): name one of them."
  }

  /// What is to be said of files beside an adapter that was taken.
  ///
  /// - Parameter asked: An adapter was asked for, so that a model's leftovers are nothing.
  func leftOut(asked: Bool) -> [SourceWarning] {
    let place = survey.path.lastComponent?.string ?? survey.path.string
    var warnings = survey.sideFiles.map {
      SourceWarning($0, in: place, "lies beside the adapter and holds no layers of a model: left out")
    }
    if !asked, case .found(let choice) = survey.weights, case .index(let index) = choice.files {
      warnings.append(SourceWarning(index, in: place, "is of a model whose files are not here: the adapter beside it was taken"))
    }
    return warnings
  }

  /// Files beside an adapter's configuration that could be a model's by their names and hold no layer of one: value heads,
  /// embeddings, states of training, copies of the adapter.
  static func sideFiles(_ files: [String], in path: FilePath) -> [String] {
    guard files.contains(configuration) else { return [] }
    let candidates = files.filter { ModelFiles.isCandidate($0) && PartName($0, ending: ".safetensors") == nil }
    return candidates.prefix(16).filter { name in
      // One that cannot be read is the model's only by its name, and its reader says why.
      guard let file = try? SafetensorsFile(path.appending(name)) else { return name != ModelFiles.single }
      return !file.names.contains(where: isOfLayer)
    }
  }

  private static func isOfLayer(_ name: String) -> Bool {
    let parts = name.split(separator: ".")
    guard !parts.contains(where: { $0.hasPrefix("lora_") }) else { return false }
    return zip(parts, parts.dropFirst()).contains { ["layers", "h", "blocks"].contains($0) && Int($1) != nil }
  }
}
