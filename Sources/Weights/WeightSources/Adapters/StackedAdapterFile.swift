import Families
import Safetensors
import Synchronization
import Tensors

/// An adapter of which PEFT changes whole stacks of experts (`target_parameters` of `mlp.experts.gate_up_proj`, `down_proj`), as one with
/// factors for the projections of each expert.
///
/// Of a stack `[E, out, in]` with rank r the file holds A `[E · r, in]`, expert e's rows behind each other, and B `[out, r · E]`, in which
/// expert e has the columns k · E + e. Of `gate_up_proj` the first half of B's rows is `gate_proj`'s, the other `up_proj`'s; both have
/// its A.
struct StackedAdapterFile: AdapterFile {
  private let base: SafetensorsFile
  private let expertCount: Int
  let names: [String]
  /// Where a factor stands: the file's name, the expert, and for B which of its rows.
  private struct Factor {
    let name: String
    let expert: Int
    /// nil: A.
    let rows: Range<Int>?
  }
  private let factors: [String: Factor]
  private let stacks = StackCache()

  /// The last few whole B: each expert has some columns of every row, so all of it is read for the first of them.
  private final class StackCache: Sendable {
    private let last = Mutex<[(name: String, bytes: [UInt8])]>([])
    private static let limit = 4

    func bytes(of name: String, in file: SafetensorsFile) throws -> [UInt8] {
      if let known = last.withLock({ $0.first { $0.name == name }?.bytes }) { return known }
      let description = try file.require(name)
      var bytes = [UInt8](repeating: 0, count: description.rowCount * description.rowByteCount)
      try unsafe bytes.withUnsafeMutableBytes { try unsafe file.read(name, rows: 0..<description.rowCount, into: $0) }
      last.withLock {
        if $0.count == Self.limit { $0.removeFirst() }
        $0.append((name, bytes))
      }
      return bytes
    }
  }

  private static let stack = ".mlp.experts"
  private static let wrapper = ".base_layer"
  static let fused = "gate_up_proj", down = "down_proj"

  /// nil where the file has no factors of stacks.
  ///
  /// - Parameters:
  ///   - isTargeted: Whether the configuration names a stack, by its name in a layer.
  ///   - layerCount: Of the model: factors of a layer that it does not have keep their names.
  init?(_ file: SafetensorsFile, experts: ExpertShape, layerCount: Int, isTargeted: (_ stack: String) -> Bool) {
    base = file
    expertCount = experts.count
    var factors: [String: Factor] = [:]
    var names: [String] = []
    var seen: Set<[String]> = []
    for name in file.names {
      guard let (layer, isInner, tail, isDown) = Self.parts(of: name), let shape = file.description(of: name)?.shape, shape.count == 2,
        shape[isDown ? 0 : 1] % experts.count == 0, shape[0] > 0, shape[1] > 0,
        let number = layer.split(separator: ".").last.flatMap({ Int($0) }), (0..<layerCount).contains(number),
        // A name for each expert, so that a file cannot ask for more of them than the model has.
        seen.insert(["\(number)", "\(isInner)", tail]).inserted
      else { names.append(name); continue }
      // Wrappers lie in each other, in the order of the module's parameters: inside is what was wrapped first.
      let isFused = isInner || !isTargeted("\(layer)\(Self.stack).\(Self.down)")
      let projections = isFused ? ["gate_proj", "up_proj"] : [Self.down]
      for expert in 0..<experts.count {
        for (index, projection) in projections.enumerated() {
          let own = "\(layer)\(Self.stack).\(expert).\(projection)\(tail)"
          let each = shape[0] / projections.count
          // An odd number of rows is no stack's: the shape is reported as it is.
          let rows = isDown ? nil : each * projections.count == shape[0] ? index * each..<(index + 1) * each : 0..<shape[0]
          factors[own] = Factor(name: name, expert: expert, rows: rows)
          names.append(own)
        }
      }
    }
    guard !factors.isEmpty else { return nil }
    (self.factors, self.names) = (factors, names)
  }

  /// The layer's path, whether another wrapper lies around this one, what stands behind the module, and whether it is A.
  private static func parts(of name: String) -> (layer: String, isInner: Bool, tail: String, isDown: Bool)? {
    for (marker, isDown) in [(".lora_A.", true), (".lora_B.", false)] {
      guard let place = name.ranges(of: marker).last else { continue }
      var path = name[..<place.lowerBound]
      let isInner = path.hasSuffix(wrapper)
      if isInner { path = path.dropLast(wrapper.count) }
      guard path.hasSuffix(stack) else { return nil }
      return (String(path.dropLast(stack.count)), isInner, String(name[place.lowerBound...]), isDown)
    }
    return nil
  }

  /// The stack that an expert's projection is a part of, by the path of its module: `….mlp.experts.gate_up_proj`.
  static func stack(of path: String) -> String? {
    let parts = path.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count > 3, parts[parts.count - 3] == "experts", parts[parts.count - 2].allSatisfy(\.isNumber) else { return nil }
    let name: String
    switch parts[parts.count - 1] {
    case "gate_proj", "up_proj": name = fused
    case "down_proj": name = down
    default: return nil
    }
    return parts.dropLast(2).joined(separator: ".") + "." + name
  }

  var origin: String { base.origin }
  func parsed(_ name: String) -> AdapterTensorName? { AdapterTensorName(name) }

  func description(of name: String) -> TensorDescription? {
    guard let factor = factors[name], let found = base.description(of: factor.name) else { return base.description(of: name) }
    let shape = factor.rows.map { [$0.count, found.shape[1] / expertCount] } ?? [found.shape[0] / expertCount, found.shape[1]]
    return TensorDescription(shape: shape, elementType: found.elementType)
  }

  func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let factor = factors[name] else { return try unsafe base.read(name, rows: rows, into: destination) }
    let description = try require(name), whole = try base.require(factor.name)
    guard let own = factor.rows else {
      let first = factor.expert * description.rowCount
      return try unsafe base.read(factor.name, rows: first + rows.lowerBound..<first + rows.upperBound, into: destination)
    }
    precondition(destination.count == rows.count * description.rowByteCount, "the buffer does not fit the rows")
    let (bytes, rank) = (whole.elementType.bitWidth / 8, description.shape[1])
    let stack = try stacks.bytes(of: factor.name, in: base)
    unsafe stack.withUnsafeBytes { stack in
      for row in rows {
        let line = (own.lowerBound + row) * whole.rowByteCount
        for k in 0..<rank {
          let from = line + (k * expertCount + factor.expert) * bytes
          let to = ((row - rows.lowerBound) * rank + k) * bytes
          unsafe UnsafeMutableRawBufferPointer(rebasing: destination[to..<to + bytes])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: stack[from..<from + bytes]))
        }
      }
    }
  }
}
