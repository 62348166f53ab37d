import CPUBackend
import Checkpoints
import Engines
import Files
import JSON
import Networks
import Safetensors
import SystemPackage
import Tensors
import WeightSources

extension FuzzTarget {
  /// A checkpoint's config.json. Whatever its numbers, ranks and layers can be asked for, and a plan that is made of it
  /// reads back as it was written.
  static let config = FuzzTarget(name: "config", form: .json) { text in
    guard let json = try? JSONValue(parsing: text, allowsNonFinite: true), let config = try? CheckpointConfig(parsing: json)
    else { return }
    check(config)
  }

  static func check(_ config: CheckpointConfig) {
    let mapping = config.mapping
    precondition(mapping.worldSize >= 1 && mapping.fileCount >= 1)
    let last = mapping.worldSize - 1
    precondition((0..<mapping.fileCount).contains(mapping.fileIndex(last)))
    let layers = mapping.layers(ofStage: mapping.pipelineRank(of: last), layerCount: config.layerCount)
    precondition(layers.upperBound == config.layerCount && config.rotaryDimension <= config.headSize)
    // Tables are made for every rank and layer: rank files have been counted by then, and tensors after that.
    guard mapping.worldSize * config.layerCount <= 2048 else { return }
    do { _ = try ShardLayout(config: config, origin: "fuzz") } catch { explain("refused: \(error)") }
    for sharesEmbedding in [false, true] {
      var planner = Planner(
        target: CPUTarget(.portable, threadCount: 1),
        limits: PlanLimits(batchSize: 4, inputLength: 16, sequenceLength: 32, tokens: 16))
      guard let plan = try? planner.plan(config: config, rank: last, sharesEmbedding: sharesEmbedding) else { continue }
      guard config.layerCount <= 16, let again = try? Plan(json: plan.json) else { continue }  // too large for this target, say
      precondition(again == plan)
    }
  }

  /// A Hugging Face directory: config.json, generation_config.json and the header of model.safetensors, with zero bytes
  /// between them. Whatever is accepted becomes a checkpoint's configuration and, where tensors fit, weights.
  static let huggingFace = FuzzTarget(name: "huggingface", form: .json) { input in
    let parts = input.split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false).map { Array($0) }
    let directory = Place.directory("huggingface")
    Place.write(parts[0], directory + "/config.json")
    Place.write(parts.count > 1 ? parts[1] : Array("{}".utf8), directory + "/generation_config.json")
    Place.write(SafetensorsBytes.file(header: parts.count > 2 ? parts[2] : []), directory + "/model.safetensors")
    guard let source = try? ModelSource(huggingFace: HuggingFaceDirectory(FilePath(directory))) else { return }
    read(source)
  }

  /// Converts as trtllm-convert would, and reads the first rows of every tensor.
  static func read(_ source: ModelSource) {
    for mapping in [Mapping(), Mapping(tensorParallel: 2), Mapping(tensorParallel: 2, pipelineParallel: 2)] {
      let json = source.model.checkpointConfig(elementType: source.model.automaticElementType, mapping: mapping)
      if let config = try? CheckpointConfig(parsing: json) { check(config) }
      guard
        let weights = try? ConvertedWeights(
          source.tensors, model: source.model, mapping: mapping, elementType: source.model.automaticElementType)
      else { continue }
      for rank in 0..<mapping.worldSize {
        for name in weights.names(rank: rank) {
          guard let description = weights.description(of: name, rank: rank) else { preconditionFailure("\(name) has gone") }
          let rows = 0..<min(3, description.rowCount)
          var bytes = [UInt8](repeating: 0, count: rows.count * description.rowByteCount)
          try? unsafe bytes.withUnsafeMutableBytes { unsafe try weights.read(name, rank: rank, rows: rows, into: $0) }
        }
      }
    }
  }
}
