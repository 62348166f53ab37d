public import JSON
import SystemPackage

extension Mapping {
  /// Reads the `mapping` object of a configuration; nil is one rank.
  ///
  /// - Throws: ``CheckpointError/Problem`` `.field` or `.mapping`; the caller adds the path.
  init(_ json: JSONValue?, path: FilePath) throws(CheckpointError) {
    let reader = FieldReader(json ?? .object([:]), path: path, prefix: "mapping.")
    try reader.requireObject()
    func failed(_ reason: String) -> CheckpointError { CheckpointError(path, .mapping(reason: reason)) }
    func size(_ key: String) throws(CheckpointError) -> Int? {
      // -1 is upstream's "not given".
      guard let value = try reader.int(key), value != -1 else { return nil }
      guard (1...(1 << 20)).contains(value) else { throw failed("\(key) is \(value)") }
      return value
    }
    let tensor = try size("tp_size") ?? 1
    let pipeline = try size("pp_size") ?? 1
    let context = try size("cp_size") ?? 1
    let (half, overflow) = tensor.multipliedReportingOverflow(by: pipeline)
    let (world, overflowToo) = half.multipliedReportingOverflow(by: context)
    guard !overflow, !overflowToo, world <= 1 << 20 else { throw failed("\(tensor) × \(context) × \(pipeline) ranks are too many") }
    if let declared = try size("world_size"), declared != world {
      throw failed("world_size is \(declared), but tp_size \(tensor) × cp_size \(context) × pp_size \(pipeline) = \(world)")
    }
    let clusters = try size("moe_cluster_size") ?? 1
    let expertTensorGiven = try size("moe_tp_size")
    let expertsGiven = try size("moe_ep_size")
    let experts = expertsGiven ?? expertTensorGiven.map { max(1, tensor / ($0 * clusters)) } ?? 1
    let expertTensor = expertTensorGiven ?? max(1, tensor / (experts * clusters))
    guard expertTensor * experts * clusters == tensor else {
      throw failed(
        "moe_tp_size \(expertTensor) × moe_ep_size \(experts) × moe_cluster_size \(clusters) should be tp_size \(tensor)")
    }
    guard experts == 1 || context == 1 else { throw failed("moe_ep_size \(experts) cannot go with cp_size \(context)") }
    let attentionContext = try size("attn_cp_size") ?? 1
    guard attentionContext == 1 else { throw failed("attn_cp_size is \(attentionContext) and must be 1") }
    if let attentionTensor = try size("attn_tp_size"), attentionTensor != tensor * context {
      throw failed("attn_tp_size \(attentionTensor) should be tp_size × cp_size = \(tensor * context)")
    }
    self.init(
      tensorParallel: tensor, pipelineParallel: pipeline, contextParallel: context, expertTensorParallel: expertTensor,
      expertParallel: experts, expertClusters: clusters, ranksPerNode: try size("gpus_per_node") ?? 8,
      isAutomatic: try reader.bool("auto_parallel") ?? false)
  }

  /// The `mapping` object as older and newer releases read it: no key that some of them would refuse.
  public var json: JSONValue {
    [
      "world_size": .int(worldSize), "gpus_per_node": .int(ranksPerNode), "cp_size": .int(contextParallel),
      "tp_size": .int(tensorParallel), "pp_size": .int(pipelineParallel), "moe_tp_size": .int(expertTensorParallel),
      "moe_ep_size": .int(expertParallel),
    ]
  }
}
