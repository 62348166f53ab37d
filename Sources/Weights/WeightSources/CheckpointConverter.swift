public import Checkpoints
import Files
import Safetensors
import Synchronization
public import Schemes
public import SystemPackage
public import Tensors
import Threads

/// Writes a TensorRT-LLM checkpoint out of a model in its author's format.
///
/// Every worker reads, converts and writes one tile of rows at a time, so memory does not grow with the model, and
/// the bytes do not depend on how many workers there are.
public struct CheckpointConverter: Sendable {
  /// The model.
  public let source: ModelSource
  /// Its tensors as the ranks get them, in floats.
  public let weights: ConvertedWeights
  /// The ranks that the checkpoint is for.
  public let mapping: Mapping
  /// The checkpoint's `dtype`.
  public let elementType: ElementType
  /// Of the linear layers of attention and MLP; nil: plain numbers.
  public let scheme: NumberScheme?
  /// What is written.
  private let written: any WeightSource
  /// Tokenizer, chat templates and generation settings, which the checkpoint gets too.
  public let companions: CompanionFiles
  /// Threads; 0 for one a core.
  public var workers = 0

  /// About 4 MB of result a worker.
  private static let tileByteCount = 4 << 20
  /// What a worker may hold: a tile, and the source's rows before they are converted.
  private static let workerByteCount = 4 * tileByteCount

  /// - Parameter elementType: nil chooses: the published type, float16 for float32, bfloat16 for quantised blocks.
  /// - Throws: ``WeightSourceError`` for anything in the source that does not fit, before anything is written.
  public init(_ source: ModelSource, mapping: Mapping, elementType: ElementType? = nil, scheme: NumberScheme? = nil) throws {
    guard mapping.contextParallel == 1 else {
      throw WeightSourceError(source.path.string, .sharding("context parallelism does not change weights. Convert with cp_size 1."))
    }
    self.source = source
    self.mapping = mapping
    self.elementType = elementType ?? source.model.automaticElementType
    companions = try source.companions()
    self.scheme = scheme
    let floats = try ConvertedWeights(source.tensors, model: source.model, mapping: mapping, elementType: self.elementType)
    weights = floats
    let config = try CheckpointConfig(parsing: source.checkpointConfig(elementType: self.elementType, mapping: mapping, scheme: scheme))
    written = scheme.map { EncodedWeights(floats, scheme: $0) { config.quantization.covers($0) } } ?? floats
  }

  /// Some rows of one rank's tensor.
  private struct Tile { let rank: Int, name: String, rows: Range<Int>, offset: Int, byteCount: Int }

  /// What was written.
  public struct Summary: Sendable, Equatable {
    /// Over all ranks.
    public let tensorCount: Int
    /// Of all tensors of all ranks.
    public let byteCount: Int
    /// Tensors that hold NaN or infinite values, a line each; of many the first.
    public let warnings: [String]
  }

  /// Writes the checkpoint; it appears under its name only when it is complete.
  ///
  /// - Parameters:
  ///   - progress: Called from any worker, one call at a time, with bytes done and bytes in all.
  ///   - check: Sees what was written before it appears; where it throws, nothing does.
  @discardableResult
  public func write(
    to target: FilePath, progress: (@Sendable (Int, Int) -> Void)? = nil, check: (Summary) throws -> Void = { _ in }
  ) throws -> Summary {
    let output = try OutputDirectory.begin(target, as: .wholeCheckpoint, notOverlapping: [source.path])
    do {
      let summary = try writeFiles(output, progress)
      for file in companions.all { try output.write(file) }
      try check(summary)
      try output.commit()
      return summary
    } catch {
      output.abandon()
      throw error
    }
  }

  private func writeFiles(_ output: OutputDirectory, _ progress: (@Sendable (Int, Int) -> Void)?) throws -> Summary {
    var files: [SafetensorsWriter] = []
    var tiles: [Tile] = []
    var tensorCount = 0
    for rank in 0..<mapping.worldSize {
      let tensors = written.names(rank: rank).compactMap { name in
        written.description(of: name, rank: rank).map { (name, $0) }
      }
      tensorCount += tensors.count
      files.append(
        try SafetensorsWriter(
          file: try output.createFile(CheckpointDirectory.rankName(rank)), metadata: ["format": "pt"],
          tensors: tensors.map { name, description in
            (name, TensorDescription(shape: weights.layout.fileShape(of: name, rank: rank, rows: description.shape), elementType: description.elementType))
          }))
      for (name, description) in tensors {
        let step = max(1, Self.tileByteCount / max(1, description.rowByteCount))
        for row in stride(from: 0, to: description.rowCount, by: step) {
          let rows = row..<min(row + step, description.rowCount)
          tiles.append(Tile(rank: rank, name: name, rows: rows, offset: row * description.rowByteCount, byteCount: rows.count * description.rowByteCount))
        }
      }
    }
    let total = tiles.reduce(0) { $0 + $1.byteCount }
    let nonFinite = try run(tiles, files, total: total, progress)
    try output.write("config.json", text: source.checkpointConfig(elementType: elementType, mapping: mapping, scheme: scheme).serialized(indent: 4))
    return Summary(tensorCount: tensorCount, byteCount: total, warnings: lines(nonFinite))
  }

  private func lines(_ counts: [TensorPlace: Int]) -> [String] {
    let text = NumberFormat.nonFiniteText(elementType)
    let found = counts.sorted { ($0.key.rank, $0.key.name) < ($1.key.rank, $1.key.name) }
      .map { "rank \($0.key.rank): \($0.key.name): \($0.value) value(s) are \(text)" }
    return found.count <= 10 ? found : found.prefix(9) + ["\(found.count - 9) more tensors hold values that are \(text)"]
  }

  private struct TensorPlace: Hashable { let rank: Int, name: String }

  /// What workers report.
  private final class Found: Sendable {
    private let state = Mutex<(done: Int, nonFinite: [TensorPlace: Int])>((0, [:]))
    var nonFinite: [TensorPlace: Int] { state.withLock { $0.nonFinite } }

    func add(_ tile: Tile, _ count: Int, _ progress: (@Sendable (Int, Int) -> Void)?, _ total: Int) {
      state.withLock {
        $0.done += tile.byteCount
        if count > 0 { $0.nonFinite[TensorPlace(rank: tile.rank, name: tile.name), default: 0] += count }
        progress?($0.done, total)
      }
    }
  }

  /// Hands tiles to workers in order; the first error stops all.
  ///
  /// - Returns: How many values of each tensor are NaN or infinite, where any are.
  private func run(
    _ tiles: [Tile], _ files: [SafetensorsWriter], total: Int, _ progress: (@Sendable (Int, Int) -> Void)?
  ) throws -> [TensorPlace: Int] {
    let found = Found()
    try Parallel.share(tiles.count, workers: workers > 0 ? workers : Processors.workers(memory: Self.workerByteCount)) { take in
      var scratch: [UInt8] = []
      while let tile = take().map({ tiles[$0] }) {
        if scratch.count < tile.byteCount { scratch = [UInt8](repeating: 0, count: tile.byteCount) }
        try unsafe scratch.withUnsafeMutableBytes { buffer in
          let bytes = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[0..<tile.byteCount])
          try unsafe written.read(tile.name, rank: tile.rank, rows: tile.rows, into: bytes)
          try unsafe files[tile.rank].write(tile.name, at: tile.offset, UnsafeRawBufferPointer(bytes))
          let type = written.description(of: tile.name, rank: tile.rank)?.elementType ?? elementType
          let count = unsafe NumberFormat.nonFiniteCount(UnsafeRawBufferPointer(bytes), type)
          found.add(tile, count, progress, total)
        }
      }
    }
    return found.nonFinite
  }
}
