public import ArgumentParser
import Engines
import JSON
import SystemPackage

/// `trtllm-inspect`
public struct InspectCommand: DrydockCommand {
  public static let configuration = CommandConfiguration(
    commandName: "trtllm-inspect",
    abstract: "Show what is in an engine: plan, weights, compiled kernels, lineage, memory.",
    usage: "trtllm-inspect --engine_dir <dir> [<options>]",
    discussion: """
      Reads headers only, so it takes milliseconds, and opens stripped engines and those of other targets, too. Without \
      --layer it shows the operations outside of layers and those of the first one. The text is for people and may change; \
      --json prints one object with the whole plan, configuration and lineage.

      Examples:
        trtllm-inspect --engine_dir ./engine
        trtllm-inspect --engine_dir ./engine --layer 3
        trtllm-inspect --engine_dir ./engine --json | jq '.ranks[0].plan.tactics'
        trtllm-inspect --engine_dir ./engine --json | jq '.ranks[0].plan.artifacts'

      Exit codes: 0 done, 1 no engine there, or one that cannot be trusted, 2 wrong usage.
      """,
    version: Tool.name)

  @Option(
    name: [.customLong("engine_dir"), .customLong("model")],
    help: ArgumentHelp("The engine: config.json and rank*.engine.", valueName: "dir"))
  var engineDirectory: String

  @Option(help: ArgumentHelp("Operations and weights of this layer only, counting from 0 in each rank.", valueName: "n"))
  var layer: Int?

  @Option(help: ArgumentHelp("This rank only.", valueName: "n"))
  var rank: Int?

  @Flag(help: "One JSON object on standard output.")
  var json = false

  /// For ArgumentParser, which fills the options.
  public init() {}

  public func validate() throws {
    try refuse(
      [("layer", layer), ("rank", rank)].compactMap { name, value in
        value.flatMap { $0 < 0 ? "--\(name) is \($0); it must be at least 0" : nil }
      })
  }

  public func run() async throws {
    let engine = try EngineDirectory(FilePath(engineDirectory))
    let inspection = EngineInspection(engine, lineage: try Lineage(directory: engine.path), layer: layer)
    if let rank, rank >= engine.ranks.count {
      throw UsageError("--rank is \(rank), but \(engineDirectory) has \(engine.ranks.count) rank(s)")
    }
    let ranks = rank.map { [$0] } ?? Array(engine.ranks.indices)
    let layers = ranks.map { engine.ranks[$0].plan.cacheLayerCount }.max() ?? 0
    if let layer, layer >= layers {
      throw UsageError("--layer is \(layer), but \(rank.map { "rank \($0)" } ?? "a rank") of \(engineDirectory) has \(layers) layers, 0 to \(layers - 1)")
    }
    Terminal.write((json ? inspection.json(ranks: ranks).serialized(indent: 2) : inspection.text(ranks: ranks)) + "\n")
  }
}
