import Families
import Tensors

/// The tensors of an adapter that llama.cpp's `convert_lora_to_gguf.py` wrote, with the rows of queries and keys in
/// Hugging Face's order.
///
/// Of a weight `NAME` it holds `NAME.lora_a` (`[r, in]`) and `NAME.lora_b` (`[out, r]`), of the embedding table
/// `[rows, r]` and `[columns, r]`, so that llama.cpp can look rows up. Norms are there whole.
struct GGUFAdapterFile: AdapterFile {
  private let file: GGUFFile
  private let family: ModelFamily
  private let heads: InterleavedHeads
  /// Names of factors whose rows are those of queries or keys.
  private let rotated: Set<String>

  init(_ file: GGUFFile, _ layout: ShardLayout) {
    self.file = file
    family = layout.family
    heads = InterleavedHeads(headSize: layout.shape.headSize)
    let family = layout.family
    rotated = Set(file.names.filter { $0.hasSuffix(AdapterTensorName.ggufUp) && AdapterTensorName.part(of: $0, in: family)?.part.isRotated == true })
  }

  var names: [String] { file.names }
  var origin: String { file.origin }
  func description(of name: String) -> TensorDescription? { file.description(of: name) }
  func parsed(_ name: String) -> AdapterTensorName? { AdapterTensorName(gguf: name, family: family) }

  func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    if rotated.contains(name) {
      try unsafe heads.read(name, rows: rows, of: file, into: destination)
    } else {
      try unsafe file.read(name, rows: rows, into: destination)
    }
  }
}

extension AdapterTensorName {
  static let ggufDown = ".lora_a", ggufUp = ".lora_b"

  /// - Parameter name: As `convert_lora_to_gguf.py` writes it.
  init?(gguf name: String, family: ModelFamily) {
    guard let (rule, part, layer) = Self.part(of: name, in: family) else { return nil }
    let isTable = rule.split == .embedding
    switch name {
    case _ where name.hasSuffix(Self.ggufDown): role = isTable ? .tableUp : .down
    case _ where name.hasSuffix(Self.ggufUp): role = isTable ? .tableDown : .up
    // Nothing else is written whole.
    case _ where name.hasSuffix("_norm.weight"): role = .replacement("weight")
    default: return nil
    }
    // PEFT's way of writing: nothing was taken away to find the module.
    paths = [["base_model", "model"] + part.huggingFace.inLayer(layer).split(separator: ".").dropLast()]
  }

  /// The weight that a tensor belongs to.
  fileprivate static func part(of name: String, in family: ModelFamily) -> (rule: TensorRule, part: TensorRule.Part, layer: Int)? {
    let weight = [ggufDown, ggufUp].first(where: name.hasSuffix).map { name.dropLast($0.count) } ?? name[...]
    guard weight.hasSuffix(".weight") else { return nil }
    for rule in family.tensors {
      for part in rule.parts {
        if let layer = part.gguf.layer(in: weight) { return (rule, part, layer) }
      }
    }
    return nil
  }
}

extension String {
  /// The number that stands in `name` where this has a `*`, 0 where it has none; nil where the names differ otherwise.
  fileprivate func layer(in name: Substring) -> Int? {
    guard let star = firstIndex(of: "*") else { return name == self[...] ? 0 : nil }
    let (before, after) = (self[..<star], self[index(after: star)...])
    guard name.hasPrefix(before), name.hasSuffix(after), name.count > before.count + after.count else { return nil }
    let digits = name.dropFirst(before.count).dropLast(after.count)
    guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), digits.count <= 9, digits == "0" || digits.first != "0" else { return nil }
    return Int(digits)
  }
}
