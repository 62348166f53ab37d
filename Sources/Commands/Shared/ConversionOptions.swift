import ArgumentParser
import Checkpoints
import Schemes
import Tensors
import WeightSources

/// How a model in its author's format becomes a checkpoint's weights: in which type, for how many ranks.
struct ConversionOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "auto, float16, bfloat16 or float32. auto: as published, but float32 becomes float16 and quantised blocks bfloat16.",
      valueName: "type"))
  var dtype: String?

  @Option(name: .customLong("tp_size"), help: ArgumentHelp("Tensor-parallel ranks; 1 by default.", valueName: "n"))
  var tensorParallel: Int?

  @Option(name: .customLong("pp_size"), help: ArgumentHelp("Pipeline stages; 1 by default.", valueName: "n"))
  var pipelineParallel: Int?

  @Option(
    name: .customLong("moe_tp_size"),
    help: ArgumentHelp("Tensor-parallel ranks that share the width of each expert; what moe_ep_size leaves of tp_size by default.", valueName: "n"))
  var expertTensorParallel: Int?

  @Option(
    name: .customLong("moe_ep_size"),
    help: ArgumentHelp("Groups of tensor-parallel ranks that have different experts; 1 by default.", valueName: "n"))
  var expertParallel: Int?

  @Option(
    help: ArgumentHelp(
      "none, or W8A16: the linear layers of attention and MLP as 8-bit whole numbers with a scale for each output.",
      valueName: "scheme"))
  var quantization: String?

  /// What is wrong with the values.
  var problems: [String] {
    var problems: [String] = []
    do { _ = try Self.elementType(dtype) } catch { problems.append("\(error)") }
    if let quantization, quantization != Self.noQuantization, scheme == nil {
      problems.append("--quantization is \"\(quantization)\"; give \(Self.noQuantization) or \(NumberScheme.coded.map(\.name).joined(separator: ", "))")
    }
    for (name, value) in [
      ("tp_size", tensorParallel ?? 1), ("pp_size", pipelineParallel ?? 1), ("moe_tp_size", expertTensorParallel ?? 1), ("moe_ep_size", expertParallel ?? 1),
    ] where !(1...1024).contains(value) {
      problems.append("--\(name) is \(value); it must be from 1 to 1024")
    }
    if problems.isEmpty, mapping.tensorParallel % mapping.expertParallel != 0 {
      problems.append("--moe_ep_size is \(mapping.expertParallel); it must divide --tp_size, which is \(mapping.tensorParallel)")
    } else if problems.isEmpty, mapping.expertTensorParallel * mapping.expertParallel != mapping.tensorParallel {
      problems.append(
        "--moe_tp_size \(mapping.expertTensorParallel) times --moe_ep_size \(mapping.expertParallel) must be --tp_size, which is \(mapping.tensorParallel)")
    }
    return problems
  }

  /// nil for `auto`.
  static func elementType(_ name: String?) throws -> ElementType? {
    guard let name, name != "auto" else { return nil }
    guard let type = ElementType(configName: name), ElementType.checkpointTypes.contains(type) else {
      throw ValidationError("--dtype is \"\(name)\"; give auto, float16, bfloat16 or float32")
    }
    return type
  }

  private static let noQuantization = "none"
  var scheme: NumberScheme? { quantization.flatMap(NumberScheme.coded(named:)) }
  var elementType: ElementType? { try? Self.elementType(dtype) }
  var mapping: Mapping {
    let ranks = tensorParallel ?? 1
    let groups = expertParallel ?? expertTensorParallel.map { max(1, ranks / max(1, $0)) } ?? 1
    return Mapping(
      tensorParallel: ranks, pipelineParallel: pipelineParallel ?? 1, expertTensorParallel: expertTensorParallel, expertParallel: groups)
  }

  /// Refuses what a checkpoint, which is converted already, cannot be: a word for each flag that says otherwise.
  func check(against config: CheckpointConfig, of path: String) throws {
    var different: [String] = []
    if let elementType, elementType != config.elementType {
      different.append("--dtype is \(dtype ?? ""), and it is \(config.elementType.configName ?? "")")
    }
    if let quantization, scheme != config.quantization.scheme {
      different.append("--quantization is \(quantization), and it is \(config.quantization.algorithm?.rawValue ?? Self.noQuantization)")
    }
    for (name, asked, found) in [
      ("tp_size", tensorParallel, config.mapping.tensorParallel), ("pp_size", pipelineParallel, config.mapping.pipelineParallel),
      ("moe_tp_size", expertTensorParallel, config.mapping.expertTensorParallel), ("moe_ep_size", expertParallel, config.mapping.expertParallel),
    ] {
      if let asked, asked != found { different.append("--\(name) is \(asked), and it has \(found)") }
    }
    guard different.isEmpty else {
      throw UsageError("\(path) is a checkpoint, converted already: \(different.joined(separator: "; ")). Leave that out, or convert the model again.")
    }
  }
}
