import Checkpoints
import Engines
import Execution
import Families
import JSON
import Schemes

/// Every family with the formats that its models are read from and what can be done with them, as a Markdown table: what
/// `trtllm-convert --list_families` prints and docs/models.md holds.
///
/// Targets and schemes are not told but tried: a small model of the family is planned for each.
enum FamilyTable {
  static func text(_ registry: BackendRegistry) throws -> String {
    let targets = registry.backends.map { $0.planTarget(threadCount: 1) }
    let head = ["family", "Hugging Face", "GGUF", "checkpoint", "tp", "pp", "ep", "LoRA"] + targets.map(\.name) + ["schemes"]
    return text([head] + (try ModelFamily.all.map { try row($0, targets) }))
  }

  private static func row(_ family: ModelFamily, _ targets: [any PlanTarget]) throws -> [String] {
    let classes = family.architectures + family.wholeModels.map(\.architecture)
    let isSplit = family.decoder.sharingProblem(Mapping(tensorParallel: 2)) == nil
    var row = [
      family.name, classes.joined(separator: ", "), family.ggufArchitectures.joined(separator: ", "), "yes", mark(isSplit), "yes", mark(family.hasExperts), "yes",
    ]
    for target in targets { row.append(mark(try runs(family, on: target, quantization: nil))) }
    let schemes = try NumberScheme.coded.map(\.name).filter { name in try targets.contains { try runs(family, on: $0, quantization: name) } }
    return row + [(["float"] + schemes).joined(separator: ", ")]
  }
  private static func mark(_ isSo: Bool) -> String { isSo ? "yes" : "no" }

  /// Whether a target can run a model of the family's first class in bfloat16, with windows and every layer that the family has.
  private static func runs(_ family: ModelFamily, on target: any PlanTarget, quantization: String?) throws -> Bool {
    var members: JSONObject = [
      "architecture": .string(family.architectures[0]), "dtype": "bfloat16", "vocab_size": 64, "hidden_size": 64, "num_hidden_layers": 8, "num_attention_heads": 4,
      "num_key_value_heads": 2, "head_size": 16, "intermediate_size": 64, "hidden_act": "silu", "position_embedding_type": "rope_gpt_neox",
      "max_position_embeddings": 64,
    ]
    members.merge(family.checkpointFields) { $1 }
    if family.hasWindowedLayers { members["sliding_window"] = 16 }
    if family.hasExperts { members["moe"] = ["num_experts": 4, "top_k": 2, "normalization_mode": 1] }
    for multiplier in family.decoder.multipliers where multiplier.place == .residual { members["residual_multiplier"] = .double(0.5) }
    if let quantization { members["quantization"] = ["quant_algo": .string(quantization)] }
    let config = try CheckpointConfig(parsing: .object(members))
    var planner = Planner(target: target, limits: PlanLimits(batchSize: 1, inputLength: 32, sequenceLength: 64, tokens: 32))
    do throws(UnsupportedModel) {
      let plan = try planner.plan(config: config, rank: 0, sharesEmbedding: false)
      return target.obstacles(to: plan).isEmpty
    } catch {
      return false
    }
  }

  /// Columns as wide as their widest word.
  private static func text(_ rows: [[String]]) -> String {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    func line(_ cells: [String]) -> String {
      "| " + zip(cells, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: " | ") + " |"
    }
    let rule = "|" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "|") + "|"
    return ([line(rows[0]), rule] + rows.dropFirst().map(line)).joined(separator: "\n")
  }
}
