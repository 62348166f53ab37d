import Files
import JSON
import Networks
import OrderedCollections
public import Safetensors
public import SystemPackage
import Tensors

/// One `rank{r}.engine`: a safetensors file with the plan in its metadata, and the packed weights and what the target made as tensors.
///
/// Everything in it has been checked against everything else once this exists.
public final class EngineFile: Sendable {
  /// As it was given.
  public let path: FilePath
  /// Checked: a back end may walk it without asking again.
  public let plan: Plan
  /// The plan as it stands in the file, byte for byte: a refit writes it again unchanged.
  public let planText: String
  /// Weights lie in it as the plan stores them, artifacts behind them; its other tensors are padding.
  public let tensors: SafetensorsFile
  /// One digest over plan and weights, as the file itself says; nil in files of earlier versions. Whether the weights
  /// are those is what ``EngineVerifier`` finds out.
  public let root: String?

  static let formatKey = "format"
  static let formatName = OutputKind.engineFormat
  static let planKey = "plan"
  /// Where weights begin: a page, so that a mapping or a device copy can start there.
  static let dataAlignment = 4096
  /// Every weight starts at a multiple of it.
  static let weightAlignment = 64

  /// Opens a rank file and checks plan and weights against each other; weights are not read.
  ///
  /// - Throws: ``EngineError`` where it is no engine file or its plan cannot be trusted; `FileError` where it cannot be read.
  public init(_ path: FilePath) throws {
    self.path = path
    if let version = try Self.tensorrtVersion(path) { throw EngineError(path, .tensorrtPlan(version: version)) }
    do {
      tensors = try SafetensorsFile(path)
    } catch {
      throw EngineError(path, .notAnEngine(reason: "\(error.problem)"))
    }
    guard tensors.header.metadata[Self.formatKey] == Self.formatName, let text = tensors.header.metadata[Self.planKey]
    else { throw EngineError(path, .notAnEngine(reason: "a safetensors file without a plan")) }
    planText = text
    root = tensors.header.metadata[EngineSeal.key]
    do {
      plan = try Plan(json: try JSONValue(parsing: text, maximumDepth: 32))
    } catch {
      throw EngineError(path, .invalidPlan(reason: "\(error)"))
    }
    guard tensors.header.dataStart % Self.weightAlignment == 0 else {
      throw EngineError(path, .notAnEngine(reason: "its data does not start at a multiple of 64 bytes"))
    }
    let artifacts = Dictionary(uniqueKeysWithValues: plan.artifacts.map { ($0.name, $0.stored) })
    // What the plan names is a weight, whatever it is called.
    for entry in tensors.header.entries where !Self.isPadding(entry.name) || plan.weights[entry.name] != nil {
      guard let stored = plan.weights[entry.name]?.stored ?? artifacts[entry.name] else {
        throw EngineError(path, .invalidPlan(reason: "it does not know the weight \"\(entry.name)\" that the file holds"))
      }
      guard stored == entry.description else {
        throw EngineError(path, .invalidPlan(reason: "\"\(entry.name)\" is \(entry.description), it says \(stored)"))
      }
      guard entry.range.lowerBound % Self.weightAlignment == 0 else {
        throw EngineError(path, .notAnEngine(reason: "\"\(entry.name)\" does not start at a multiple of 64 bytes"))
      }
    }
    if let missing = plan.artifacts.first(where: { tensors.header[$0.name] == nil }) {
      throw EngineError(path, .invalidPlan(reason: "the file lacks the artifact \"\(missing.name)\""))
    }
  }

  /// Weights that the plan needs and the file lacks, in plan order.
  public var missingWeights: [String] { plan.weights.keys.filter { tensors.header[$0] == nil } }
  /// Whether any weight of the plan is absent, refittable or not.
  public var isStripped: Bool { plan.weights.keys.contains { tensors.header[$0] == nil } }
  /// Whether the file holds the weight of this engine name.
  public func contains(_ name: String) -> Bool { tensors.header[name] != nil }

  static func isPadding(_ name: String) -> Bool { name.hasSuffix(".padding") }

  /// The tensors of a file that holds the weights `present`, in plan order, then those of artifacts; each padded to the alignment.
  static func layout(plan: Plan, present: (String) -> Bool) -> [(String, TensorDescription)] {
    var tensors: [(String, TensorDescription)] = []
    func add(_ name: String, _ stored: TensorDescription) {
      tensors.append((name, stored))
      let beyond = stored.byteCount % weightAlignment
      if beyond > 0 {
        tensors.append((name + ".padding", TensorDescription(shape: [weightAlignment - beyond], elementType: .uint8)))
      }
    }
    for (name, weight) in plan.weights where present(name) { add(name, weight.stored) }
    for artifact in plan.artifacts { add(artifact.name, artifact.stored) }
    return tensors
  }

  static func metadata(planText: String) -> OrderedDictionary<String, String> {
    [EngineSeal.key: EngineSeal.placeholder, formatKey: formatName, planKey: planText]
  }

  /// The version an NVIDIA plan file names, or nil where the file is none. Such files start with "ftrt" or "ptrt".
  private static func tensorrtVersion(_ path: FilePath) throws(FileError) -> String? {
    let file = try ReadableFile(path)
    guard file.byteCount >= 28 else { return nil }
    let head = try file.bytes(0..<28)
    guard Array("ftrt".utf8) == Array(head[0..<4]) || Array("ptrt".utf8) == Array(head[0..<4]) else { return nil }
    return " of version \(head[24]).\(head[25]).\(head[26])"
  }
}
