import Families
import Tensors

/// A model's tensors of which experts are stacks, as transformers 5 keeps them (`mlp.experts.gate_up_proj`, `down_proj`), with each
/// expert's matrices under the names that transformers saves them by.
///
/// A stack of `gate_up_proj` is `[E, 2 · width, hidden]`, of each expert the rows of `gate_proj` first.
final class StackedExperts: NamedTensors {
  let names: [String]
  private let base: HuggingFaceDirectory
  /// Where a matrix stands: the stack, and the first of its rows there.
  private struct Matrix {
    let stack: String
    let firstRow: Int
    let description: TensorDescription
  }
  private let matrices: [String: Matrix]

  /// nil where there are no stacks.
  ///
  /// - Parameter layerCount: Of the model: a stack of a layer that it does not have keeps its name.
  init?(_ directory: HuggingFaceDirectory, style: ExpertStyle, experts: ExpertShape, layerCount: Int) {
    var seen: Set<[String]> = []
    base = directory
    var matrices: [String: Matrix] = [:]
    var isStacked = false
    names = directory.names.flatMap { (name) -> [String] in
      guard let (layer, modules) = style.stack(name), let found = directory.description(of: name), found.shape.count == 3,
        found.shape[0] == experts.count, found.shape[1] % modules.count == 0, found.elementCount > 0,
        let number = layer.split(separator: ".").last.flatMap({ Int($0) }), (0..<layerCount).contains(number),
        // A name for each expert, so that a file cannot ask for more of them than the model has.
        seen.insert(["\(number)"] + modules).inserted
      else {
        // Beside stacks a router has transformers' name, too.
        guard let own = style.routerName(name), let found = directory.description(of: name) else { return [name] }
        matrices[own] = Matrix(stack: name, firstRow: 0, description: found)
        return [own]
      }
      isStacked = true
      let rows = found.shape[1] / modules.count
      return (0..<experts.count).flatMap { expert in
        modules.enumerated().map { index, module in
          let own = "\(layer)\(module.ofExpert(expert)).weight"
          matrices[own] = Matrix(
            stack: name, firstRow: expert * found.shape[1] + index * rows,
            description: TensorDescription(shape: [rows, found.shape[2]], elementType: found.elementType))
          return own
        }
      }
    }
    guard isStacked else { return nil }
    self.matrices = matrices
  }

  var origin: String { base.origin }
  func spelling(of name: String) -> String { matrices[name]?.stack ?? name }
  func description(of name: String) -> TensorDescription? { matrices[name]?.description ?? base.description(of: name) }

  func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let matrix = matrices[name] else { return try unsafe base.read(name, rows: rows, into: destination) }
    try unsafe base.read(matrix.stack, from: (matrix.firstRow + rows.lowerBound) * matrix.description.rowByteCount, into: destination)
  }
}
