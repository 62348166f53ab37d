import Families
public import Tensors

/// A GGUF file's tensors under Hugging Face's names and in its order of rows.
///
/// Rows of queries and keys are put in order on the way; see `InterleavedHeads`. Of a stack of experts each matrix has a name.
public final class GGUFTensors: NamedTensors {
  public let names: [String]
  private let file: GGUFFile
  private let heads: InterleavedHeads
  /// Where a tensor stands: the file's name, whether rows are interleaved, which matrix of a stack it is.
  private struct Source {
    var name: String
    var isRotated = false
    var matrix: Int?
  }
  /// By Hugging Face's name.
  private let sources: [String: Source]
  private let family: ModelFamily
  /// Matrices of a stack.
  private let expertCount: Int

  init(_ file: GGUFFile, family: ModelFamily, shape: ModelShape) {
    self.file = file
    heads = InterleavedHeads(headSize: shape.headSize)
    self.family = family
    expertCount = shape.experts?.count ?? 0
    var sources: [String: Source] = [:]
    var renamed: [String: [String]] = [:]
    for rule in family.tensors {
      for layer in 0..<(rule.place == .layer ? shape.layerCount : 1) where rule.exists(inLayer: layer, of: shape) {
        for part in rule.parts {
          let name = part.gguf.inLayer(layer)
          guard file.storage(of: name) != nil else { continue }
          let own = part.huggingFace.inLayer(layer)
          for matrix in 0..<(rule.isStack ? expertCount : 1) {
            renamed[name, default: []].append(own.ofExpert(matrix))
            sources[own.ofExpert(matrix)] = Source(name: name, isRotated: part.isRotated, matrix: rule.isStack ? matrix : nil)
          }
        }
      }
    }
    // What the family does not know keeps its name, so that a check can name it.
    for name in file.names where renamed[name] == nil { sources[name] = Source(name: name) }
    names = file.names.flatMap { renamed[$0] ?? [$0] }
    self.sources = sources
  }

  public var origin: String { file.origin }
  public var holdsOffsets: Bool { true }
  public var isGGUF: Bool { true }

  /// Also of tensors that the file lacks.
  public func spelling(of name: String) -> String {
    if let source = sources[name] { return source.name }
    let numbers = name.split(separator: ".").compactMap { Int($0) }
    let (layer, expert) = (numbers.first ?? 0, numbers.dropFirst().first ?? 0)
    for part in family.tensors.flatMap(\.parts) where part.huggingFace.inLayer(layer).ofExpert(expert) == name { return part.gguf.inLayer(layer) }
    return name
  }

  public func description(of name: String) -> TensorDescription? {
    guard let source = sources[name], let found = file.description(of: source.name) else { return nil }
    // Of other stacks than expected the whole shape, so that a check can show it.
    guard source.matrix != nil else { return found }
    // ggml leaves out a last extent of 1, as of one expert.
    let shape = found.shape.count == 2 ? [1] + found.shape : found.shape
    let isStack = shape.count == 3 && shape[0] == expertCount
    return TensorDescription(shape: isStack ? Array(shape.dropFirst()) : shape, elementType: found.elementType)
  }

  public func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let source = sources[name] else { throw WeightSourceError(origin, .missing(names: [name])) }
    if let matrix = source.matrix {
      try unsafe file.read(source.name, matrix: matrix, rows: rows, into: destination)
    } else if source.isRotated {
      try unsafe heads.read(source.name, rows: rows, of: file, into: destination)
    } else {
      try unsafe file.read(source.name, rows: rows, into: destination)
    }
  }
}
