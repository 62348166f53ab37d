import Families
public import Tensors

/// A GGUF file's tensors under Hugging Face's names and in its order of rows.
///
/// Rows of queries and keys are put in order on the way; see `InterleavedHeads`.
public final class GGUFTensors: NamedTensors {
  public let names: [String]
  private let file: GGUFFile
  private let heads: InterleavedHeads
  /// By Hugging Face's name: the file's name and whether rows are interleaved.
  private let sources: [String: (name: String, isRotated: Bool)]
  private let family: ModelFamily

  init(_ file: GGUFFile, family: ModelFamily, layerCount: Int, headSize: Int) {
    self.file = file
    heads = InterleavedHeads(headSize: headSize)
    self.family = family
    var sources: [String: (name: String, isRotated: Bool)] = [:]
    var renamed: [String: String] = [:]
    for rule in family.tensors {
      for layer in 0..<(rule.place == .layer ? layerCount : 1) {
        for part in rule.parts {
          let name = part.gguf.inLayer(layer)
          guard file.storage(of: name) != nil else { continue }
          renamed[name] = part.huggingFace.inLayer(layer)
          sources[part.huggingFace.inLayer(layer)] = (name, part.isRotated)
        }
      }
    }
    // What the family does not know keeps its name, so that a check can speak of it.
    for name in file.names where renamed[name] == nil { sources[name] = (name, false) }
    names = file.names.map { renamed[$0] ?? $0 }
    self.sources = sources
  }

  public var origin: String { file.origin }
  public var holdsOffsets: Bool { true }
  public var isGGUF: Bool { true }

  /// Also of tensors that the file lacks.
  public func spelling(of name: String) -> String {
    if let source = sources[name] { return source.name }
    let layer = name.split(separator: ".").lazy.compactMap { Int($0) }.first ?? 0
    for part in family.tensors.flatMap(\.parts) where part.huggingFace.inLayer(layer) == name { return part.gguf.inLayer(layer) }
    return name
  }

  public func description(of name: String) -> TensorDescription? {
    sources[name].flatMap { file.description(of: $0.name) }
  }

  public func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let source = sources[name] else { throw WeightSourceError(origin, .missing(names: [name])) }
    if source.isRotated {
      try unsafe heads.read(source.name, rows: rows, of: file, into: destination)
    } else {
      try unsafe file.read(source.name, rows: rows, into: destination)
    }
  }
}
