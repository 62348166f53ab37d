public import Schemes
import Files
public import JSON
public import Networks
public import OrderedCollections
public import SystemPackage
public import Tensors

/// Kernel choices that were measured earlier, so that a build on the same device chooses the same again.
public struct TimingCache: Sendable, Equatable {
  /// By device, then by shape.
  public private(set) var entries: OrderedDictionary<String, [KernelTactics]> = [:]
  /// Nothing was measured yet.
  public init() {}

  /// What was measured for such a product on such a device; nil where nothing was.
  ///
  /// - Parameter device: ``PlanTarget/device``, compared to the letter.
  public func tactics(for problem: KernelProblem, device: String) -> KernelTactics? {
    entries[device]?.first { $0.problem == problem }
  }

  /// Adds a measurement, in the place of one of the same product on the same device. Entries stay sorted.
  public mutating func add(_ tactics: KernelTactics, device: String) {
    entries[device, default: []].removeAll { $0.problem == tactics.problem }
    entries[device, default: []].append(tactics)
    entries[device]?.sort { $0.problem.order < $1.problem.order }
    entries.sort { $0.key < $1.key }
  }

  static let formatName = "drydock-timing-cache"

  /// What a cache file holds: `format`, `formatVersion`, and `devices`, each with a list of tactics.
  public var json: JSONValue {
    [
      "format": .string(Self.formatName), "formatVersion": 1,
      "devices": .object(JSONObject(entries.mapValues { .array($0.map(\.json)) })),
    ]
  }

  /// Reads what ``json`` writes. Whether a machine has the kernels is ``PlanTarget/hasKernels(for:)``.
  ///
  /// - Throws: `PlanFormatError` for another format or version, and for tactics with a member missing or of the wrong kind.
  public init(json: JSONValue) throws(PlanFormatError) {
    guard json["format"]?.string == Self.formatName, json["formatVersion"]?.int == 1,
      let devices = json["devices"]?.object
    else { throw PlanFormatError("this is not a timing cache of this version; leave the flag out and it is made anew") }
    for (device, list) in devices {
      for entry in list.array ?? [] { add(try KernelTactics(json: entry), device: device) }
    }
  }

  /// Reads a cache file.
  public init(path: FilePath) throws {
    do {
      try self.init(json: try JSONValue(parsing: try ReadableFile.contents(of: path)))
    } catch let error as PlanFormatError {
      throw EngineError(path, .invalidConfiguration(reason: error.reason))
    } catch let error as JSONError {
      throw EngineError(path, .invalidConfiguration(reason: "no timing cache: \(error). Name one that trtllm-build wrote."))
    }
  }
}

extension KernelProblem {
  fileprivate var order: (String, Int, Int, Int) { (scheme.name, outputs, inputs, matrices) }
}

extension KernelTactics {
  /// `matrices` is left out where it is 1.
  var json: JSONValue {
    var members: JSONObject = ["outputs": .int(problem.outputs), "inputs": .int(problem.inputs), "elementType": .string(problem.scheme.name)]
    if problem.matrices != 1 { members["matrices"] = .int(problem.matrices) }
    members["decode"] = .string(decode)
    members["prefill"] = .string(prefill)
    return .object(members)
  }

  init(json: JSONValue) throws(PlanFormatError) {
    let problem = KernelProblem(
      outputs: try json.size("outputs"), inputs: try json.size("inputs"), scheme: try json.scheme("elementType"),
      matrices: json["matrices"] == nil ? 1 : try json.size("matrices"))
    self.init(problem, decode: try json.text("decode"), prefill: try json.text("prefill"))
  }
}
