import Networks
import OrderedCollections
public import Schemes
public import Tensors
public import WeightSources

/// An engine's own weights as a source: its recipes run backwards, from packed and fused to checkpoint tensors.
///
/// What arithmetic made (a constant was added, a value rounded) is given as the engine holds it, except that an added
/// constant cannot be taken back exactly and such tensors are not offered.
public final class EngineWeights: WeightSource {
  private struct Origin: Sendable {
    let weight: String
    let firstRow: Int
    let shape: [Int]
    let program: RecipeProgram
    /// Which part of an encoded weight it is; nil: a plain weight.
    var part: Int?
    private var codedPart: CodedPart? { part.flatMap { program.scheme.coding?.parts[$0] } }

    /// Of an encoded weight its codes have the weight's scheme, all else is plain.
    var scheme: NumberScheme { codedPart.map { $0.kind == .codes ? program.scheme : .plain($0.elementType) } ?? program.scheme }
    var description: TensorDescription {
      TensorDescription(
        shape: codedPart?.shape(of: shape) ?? shape, elementType: codedPart?.elementType ?? program.scheme.elementType ?? .float32)
    }
  }
  private let engine: [EngineFile]
  private let made: [[String: WeightMemory]]
  private let origins: [OrderedDictionary<String, Origin>]
  private let scratch = ScratchPool()
  /// What each rank's plan takes from a checkpoint, whether the file holds it or not.
  private let inputs: [Set<String>]

  /// Offers the weights that the files hold; an absent weight is not offered.
  /// - Parameter made: For each rank, weights in memory that stand for the files', by name.
  public init(_ ranks: [EngineFile], made: [[String: WeightMemory]] = []) {
    engine = ranks
    self.made = made
    inputs = ranks.map { Set($0.plan.weights.values.flatMap { $0.recipe.inputs.map(\.name) }) }
    origins = ranks.map { file in
      var table: OrderedDictionary<String, Origin> = [:]
      for (name, weight) in file.plan.weights where file.contains(name) {
        guard weight.recipe.isInvertible, let program = RecipeProgram(weight) else { continue }
        for part in program.parts where table[part.name] == nil {
          let origin = Origin(weight: name, firstRow: part.rows.lowerBound, shape: part.shape, program: program)
          guard let coding = program.scheme.coding else { table[part.name] = origin; continue }
          for (index, coded) in coding.parts.enumerated() {
            var origin = origin
            origin.part = index
            table[coded.name(of: part.name)] = origin
          }
        }
      }
      return table
    }
  }

  public var origin: String { engine.first?.path.removingLastComponent().string ?? "engine" }

  public func names(rank: Int) -> [String] { origins.indices.contains(rank) ? Array(origins[rank].keys) : [] }

  public func description(of name: String, rank: Int) -> TensorDescription? {
    find(name, rank: rank)?.origin.description
  }

  public func scheme(of name: String, rank: Int) -> NumberScheme? { find(name, rank: rank)?.origin.scheme }

  /// The bias of a sum over ranks is the same for all of them, and is added once: only the first rank's file has it.
  private func find(_ name: String, rank: Int) -> (rank: Int, origin: Origin)? {
    guard origins.indices.contains(rank) else { return nil }
    if let own = origins[rank][name] { return (rank, own) }
    let first = rank - rank % engine[rank].plan.tensorParallel
    guard !inputs[rank].contains(name), name.hasSuffix(".bias"), let shared = origins[first][name] else { return nil }
    return (first, shared)
  }

  public func read(
    _ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer
  ) throws {
    guard let (rank, origin) = find(name, rank: rank) else {
      throw WeightSourceError(self.origin, .missing(names: ["rank \(rank): \(name)"]))
    }
    let program = origin.program
    let wanted = rows.lowerBound + origin.firstRow..<rows.upperBound + origin.firstRow
    guard program.layout != .rows else {
      unsafe try readStored(origin.weight, rank: rank, rows: wanted, into: destination)
      return
    }
    let unit = WeightLayout.panelRows
    let panels = wanted.lowerBound / unit..<(wanted.upperBound + unit - 1) / unit
    guard case .plain(let type) = program.scheme else {
      return unsafe try readPart(origin, rank: rank, panels: panels, rows: wanted, into: destination)
    }
    let byteCount = PanelPacking.byteCount(panels: panels.count, columns: program.columns, type)
    try unsafe scratch.with(byteCount) { packed in
      unsafe try readStored(origin.weight, rank: rank, rows: panels, into: packed)
      unsafe PanelPacking.unpack(
        UnsafeRawBufferPointer(packed), rows: wanted.lowerBound - panels.lowerBound * unit..<wanted.upperBound - panels.lowerBound * unit,
        columns: program.columns, type, into: destination)
    }
  }

  /// Parts of weights that are kept as plain numbers.
  public func storedRows(of name: String, rank: Int) -> [StoredRows]? {
    guard let (rank, origin) = find(name, rank: rank), case .plain(let type) = origin.program.scheme, origin.part == nil,
      let count = origin.shape.first
    else { return nil }
    let weight = origin.weight
    let memory = made.indices.contains(rank) ? made[rank][weight] : nil
    let owner: any AnyObject & Sendable = if let memory { memory } else { engine[rank] }
    let numbers = unsafe StoredNumbers(type, layout: origin.program.layout, shape: origin.program.shape, owner: (owner, weight)) { [self] rows, destination in
      try unsafe readStored(weight, rank: rank, rows: rows, into: destination)
    }
    return [StoredRows(rows: 0..<count, numbers, firstRow: origin.firstRow)]
  }

  /// Rows of one part of an encoded weight.
  private func readPart(
    _ origin: Origin, rank: Int, panels: Range<Int>, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer
  ) throws {
    guard let coding = origin.program.scheme.coding, let part = origin.part else { return }
    let (columns, first) = (origin.program.columns, panels.lowerBound * WeightLayout.panelRows)
    let count = rows.upperBound - first
    let packedBytes = panels.count * coding.panelByteCount(columns: columns)
    try unsafe scratch.with(packedBytes + coding.byteCount(rows: count, columns: columns)) { memory in
      let packed = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[..<packedBytes])
      unsafe try readStored(origin.weight, rank: rank, rows: panels, into: packed)
      let parts = unsafe coding.split(UnsafeMutableRawBufferPointer(rebasing: memory[packedBytes...]), rows: count, columns: columns)
      unsafe coding.unpack(UnsafeRawBufferPointer(packed), rows: count, columns: columns, into: parts)
      let skipped = (rows.lowerBound - first) * coding.rowByteCounts(columns: columns)[part]
      unsafe destination.copyMemory(from: UnsafeRawBufferPointer(rebasing: parts[part][skipped..<skipped + destination.count]))
    }
  }
  /// Rows of a weight as it is stored, from memory where it was made anew.
  private func readStored(
    _ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer
  ) throws {
    guard made.indices.contains(rank), let memory = made[rank][name], let weight = engine[rank].plan.weights[name] else {
      return unsafe try engine[rank].tensors.read(name, rows: rows, into: destination)
    }
    let rowBytes = weight.stored.rowByteCount
    let range = rows.lowerBound * rowBytes..<rows.upperBound * rowBytes
    try unsafe memory.copy(range, into: destination)
  }
}
