import EngineFixtures
import Engines
import Files
import JSON
import Networks
import Safetensors
import Schemes
import SystemPackage
import Tensors
import TestSupport

/// Engine directories whose plans no planner made, whole in every other respect: only what the plans say is on trial.
struct EngineForge {
  private let config: [UInt8]
  /// For each rank.
  var plans: [JSONValue]
  /// For each rank, stored bytes by name; a weight that is not here holds small numbers.
  var weights: [[String: [UInt8]]]
  /// For each rank, what the target made.
  var artifacts: [[(name: String, bytes: [UInt8])]]

  /// With the plans and weights of an engine.
  init(_ engine: FilePath) throws {
    let opened = try EngineDirectory(engine)
    config = try ReadableFile.contents(of: engine.appending("config.json"))
    plans = try opened.ranks.map { try JSONValue(parsing: $0.planText) }
    artifacts = try opened.ranks.map { file in try file.plan.artifacts.map { ($0.name, try file.bytes(of: $0)) } }
    weights = try opened.ranks.map { file in
      try Dictionary(uniqueKeysWithValues: file.plan.weights.keys.map { ($0, try file.tensors.bytes(of: $0)) })
    }
  }

  /// - Returns: Whether files of these plans are possible: no weight of a size or kind that no file could hold.
  func write(to path: FilePath) throws -> Bool {
    var files: [[(name: String, description: TensorDescription, bytes: [UInt8])]] = []
    for (rank, plan) in plans.enumerated() {
      var tensors: [(name: String, description: TensorDescription, bytes: [UInt8])] = []
      func add(_ name: String, _ stored: TensorDescription, _ bytes: [UInt8]) {
        tensors.append((name, stored, bytes))
        let beyond = stored.byteCount % 64
        if beyond > 0 {
          tensors.append((name + ".padding", TensorDescription(shape: [64 - beyond], elementType: .uint8), [UInt8](repeating: 0, count: 64 - beyond)))
        }
      }
      for (name, weight) in plan["weights"]?.object ?? [:] {
        guard let stored = Self.stored(weight), stored.byteCount < 1 << 22 else { return false }
        let known = weights[rank][name].flatMap { $0.count == stored.byteCount ? $0 : nil }
        add(name, stored, known ?? [UInt8](repeating: 0x3C, count: stored.byteCount))
      }
      for (name, bytes) in artifacts[rank] { add(name, TensorDescription(shape: [bytes.count], elementType: .uint8), bytes) }
      guard Set(tensors.map(\.name)).count == tensors.count else { return false }
      files.append(tensors)
    }
    remove(path)
    makeDirectory(path)
    for (rank, tensors) in files.enumerated() {
      let file = try WritableFile(creating: path.appending("rank\(rank).engine"))
      let writer = try SafetensorsWriter(
        file: file, metadata: ["format": "drydock-engine", "plan": plans[rank].serialized()],
        tensors: tensors.map { ($0.name, $0.description) }, dataAlignment: 4096)
      for tensor in tensors { try writer.write(tensor.name, tensor.bytes) }
      try file.close()
    }
    let other = try WritableFile(creating: path.appending("config.json"))
    try other.write(at: 0, config)
    try other.close()
    return true
  }

  private static func stored(_ weight: JSONValue) -> TensorDescription? {
    guard let layout = weight["layout"]?.string.flatMap({ WeightLayout(rawValue: $0) }), let shape = weight["shape"]?.array?.compactMap(\.int),
      let type = weight["elementType"]?.string.flatMap({ ElementType(rawValue: $0) }), shape.allSatisfy({ (1..<1 << 20).contains($0) }), shape.count <= 2
    else { return nil }
    return TensorDescription(shape: layout.storedShape(of: shape), elementType: type)
  }

  /// Float32 panels of 16 rows, `[⌈rows/16⌉, columns, 16]`.
  static func panels(_ matrix: Matrix) -> [UInt8] {
    let whole = matrix.padded(to: (matrix.rows + 15) / 16 * 16)
    var values: [Float] = []
    for panel in 0..<whole.rows / 16 {
      for column in 0..<whole.columns { for row in 0..<16 { values.append(whole.values[(panel * 16 + row) * whole.columns + column]) } }
    }
    return Matrix(rows: 1, columns: values.count, values: values).bytes(.float32)
  }
}

extension Lifecycle {
  /// Chooses tactics without measuring, for tests of something else.
  static func unmeasured() -> Lifecycle { Lifecycle(target: Unmeasured()) }
}

extension JSONValue {
  /// A member, to be changed in place.
  subscript(at key: String) -> JSONValue {
    get { self[key] ?? .null }
    set {
      guard var members = object else { return }
      members[key] = newValue
      self = .object(members)
    }
  }
  subscript(at index: Int) -> JSONValue {
    get { array?[index] ?? .null }
    set {
      guard var elements = array, elements.indices.contains(index) else { return }
      elements[index] = newValue
      self = .array(elements)
    }
  }
  /// Every number of the document that is a key of `changes`, replaced.
  func replacing(_ changes: [Int: Int]) -> JSONValue {
    switch self {
    case .object(let members): .object(members.mapValues { $0.replacing(changes) })
    case .array(let elements): .array(elements.map { $0.replacing(changes) })
    case .number(let number): number.int.flatMap { changes[$0] }.map { .int($0) } ?? self
    default: self
    }
  }
  /// Where operations of a kind stand in a plan.
  func operations(_ kind: String) -> [Int] {
    (self["operations"]?.array ?? []).indices.filter { self["operations"]?.array?[$0].object?.keys.first == kind }
  }
  /// Makes a value of a plan, and the buffer it lives in, so wide.
  mutating func widen(value: Int, to width: Int) {
    self[at: "values"][at: value][at: "width"] = .int(width)
    guard let slot = self["values"]?.array?[value]["slot"]?.int, let now = self["slots"]?.array?[slot].int, now < width else { return }
    self[at: "slots"][at: slot] = .int(width)
  }
  /// Gives a weight of a plan another shape; the first of several parts gets the rows that the others leave.
  mutating func reshape(weight: String, to shape: [Int]) {
    self[at: "weights"][at: weight][at: "shape"] = .ints(shape)
    guard let parts = self["weights"]?[weight]?["recipe"]?["of"]?["of"]?["concatenate"]?.array else {
      self[at: "weights"][at: weight][at: "recipe"][at: "of"][at: "of"][at: "shape"] = .ints(shape)
      return
    }
    var left = shape[0]
    for index in parts.indices.reversed() {
      let rows = index == 0 ? left : min(left, parts[index]["shape"]?.array?.first?.int ?? 0)
      left -= rows
      self[at: "weights"][at: weight][at: "recipe"][at: "of"][at: "of"][at: "concatenate"][at: index][at: "shape"] = .ints([rows] + shape.dropFirst())
    }
  }
}
