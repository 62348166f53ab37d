import Tensors

/// Problems of a source in words: what is wrong and what to do first, then the names, grouped and counted.
struct WeightSourceReport {
  let path: String
  let problems: [WeightSourceError.Problem]

  /// For each problem, or for all of one kind, a headline and lines below it.
  var paragraphs: [[String]] {
    var result: [[String]] = []
    // Of these there is one for each tensor.
    var shapes: [String] = []
    var types: [String] = []
    var keys: [String] = []
    for problem in problems {
      switch problem {
      case .shape(let tensor, let found, let expected, let why):
        shapes.append("'\(NameSummary.shortened(tensor))' has shape \(Self.text(found)), expected \(Self.text(expected)) (\(why))")
      case .elementType(let tensor, let found, _): types.append("'\(NameSummary.shortened(tensor))' is stored as \(found)")
      case .configuration(let key, let file, let reason): keys.append("\(file): '\(NameSummary.shortened(key))' \(reason)")
      default: result.append(paragraph(problem))
      }
    }
    if !shapes.isEmpty {
      result.append(Self.list(shapes, "\(Self.count(shapes.count, "tensor has", "tensors have")) another shape", remedy: "Check that weights and configuration belong together."))
    }
    if !types.isEmpty {
      result.append(Self.list(types, "\(Self.count(types.count, "tensor", "tensors")) cannot be read as numbers here", remedy: supportedTypes))
    }
    if !keys.isEmpty {
      // What is not supported is no fault of the file, and editing it mends nothing.
      let isUnsupported = keys.contains { $0.contains("not supported") && !$0.contains("Use the ") }
      let remedy = isUnsupported ? " Use another model or a variant without it; another value here would change the model's answers." : ""
      result.append(
        keys.count == 1
          ? [LineSummary.shortened(keys[0]) + "." + remedy]
          : ["\(keys.count) settings cannot be used.\(isUnsupported ? remedy : " Take the file from the model's own repository:")"] + LineSummary.lines(keys))
    }
    return result
  }

  private var isGGUF: Bool { path.isGGUFName }

  private func paragraph(_ problem: WeightSourceError.Problem) -> [String] {
    switch problem {
    case .found(let what, let remedy): return ["\(what)." + (remedy.map { " \($0)" } ?? "")]
    case .missing(let names):
      let remedy =
        isGGUF
        ? "Download the file again, or convert the model again with a current llama.cpp."
        : "Check that the download is complete and that config.json is from the same revision."
      return Self.named(names, "\(Self.count(names.count, "tensor is", "tensors are")) missing. \(remedy)")
    case .missingHead(let name):
      return [
        "'\(name)' is missing, and config.json does not say tie_word_embeddings: true. Say so if the model has one table for both; "
          + "else the download is not complete."
      ]
    case .missingShards(let files):
      return Self.named(
        files, "the index names \(Self.count(files.count, "file that is", "files that are")) not there. Download the missing files again.")
    case .unexpected(let names, let family):
      return Self.named(
        names, "the \(family) family has no place for \(Self.count(names.count, "tensor", "tensors")). \(WeightSourceError.remedy(unexpected: names.count))")
    case .misnamed(let names, let cause, let remedy): return Self.named(names, "\(cause). \(remedy)")
    case .vocabulary(let tensors, let rows, let configured):
      return [
        "the vocabulary has another size: \(NameSummary(tensors)) \(tensors.count == 1 ? "has" : "have") \(rows) rows, \(isGGUF ? "'token_embd.weight' has" : "vocab_size is") \(configured). "
          + (isGGUF
            ? "Download the file again, or convert the model to GGUF again."
            : rows > configured
              ? "Tokens were added: take the config.json that was saved with these weights, and the tokenizer with it."
              : "Take the config.json that was saved with these weights.")
      ]
    case .unsupportedFamily(let name, let supported):
      return ["model family '\(NameSummary.shortened(name))' is not supported. Use a model of one of these: \(supported.joined(separator: ", "))."]
    case .unsupportedSettings(let settings, let file):
      let headline = "\(file) sets what is not supported. Merge the adapter with the program that made it and refit with the merged model instead."
      return [headline] + LineSummary.lines(settings)
    case .sharding(let reason), .other(let reason): return [reason]
    case .emptied(let names):
      return Self.named(names, "\(Self.count(names.count, "tensor is", "tensors are")) empty, as pruning or stripping leaves them. Give the full weights instead.")
    case .ungathered(let names):
      return Self.named(names, "\(Self.count(names.count, "tensor is", "tensors are")) empty or flat, as DeepSpeed's ZeRO-3 and FSDP save shards that were not gathered. \(WeightSourceError.gathering)")
    case .shape, .elementType, .configuration: return []
    }
  }

  private var supportedTypes: String {
    for case .elementType(_, _, let supported) in problems { return "Supported: \(supported.joined(separator: ", "))." }
    return ""
  }

  private static func named(_ names: [String], _ headline: String) -> [String] { [headline, NameSummary(names).description] }
  private static func list(_ lines: [String], _ headline: String, remedy: String) -> [String] {
    lines.count == 1 ? ["\(lines[0]). \(remedy)"] : ["\(headline). \(remedy)"] + LineSummary.lines(lines)
  }
  private static func count(_ count: Int, _ one: String, _ many: String) -> String { count == 1 ? "1 \(one)" : "\(count) \(many)" }
  /// A shape comes out of a file and may have any number of extents.
  private static func text(_ shape: [Int]) -> String { shape.count <= 6 ? "\(shape)" : "[\(shape.prefix(5).map(String.init).joined(separator: ", ")), … (\(shape.count) extents)]" }
}

extension WeightSourceError {
  /// What to do about tensors that no network of the family uses, beside others that are missing or in a GGUF file.
  package static func remedy(unexpected count: Int) -> String {
    count > 3
      ? "The model is of another family than its configuration says, and would give wrong results."
      : "The model may be of another family than its configuration says: get weights and configuration that belong together."
  }
}
