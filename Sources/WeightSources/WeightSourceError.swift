/// Why a place cannot give the weights that were asked of it.
public struct WeightSourceError: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Problem: Equatable, Sendable {
    /// Something else than was asked for: what is there, without a full stop, and what to do, a sentence.
    case found(String, remedy: String?)
    /// Tensors or files that should be there are not.
    case missing(names: [String])
    /// Shard files named by an index that are not in the directory.
    case missingShards(files: [String])
    /// Tensors that have no place in the model family.
    case unexpected(names: [String], family: String)
    case shape(tensor: String, found: [Int], expected: [Int], why: String)
    case elementType(tensor: String, found: String, supported: [String])
    /// A configuration value is absent or of the wrong kind.
    case configuration(key: String, file: String, reason: String)
    /// A model family that is not built in.
    case unsupportedFamily(name: String, supported: [String])
    /// Settings that would change the result and that are not implemented, each with its value.
    case unsupportedSettings([String], file: String)
    /// The sharding does not fit the model.
    case sharding(String)
    /// Weights that a pruned or stripped source does not hold.
    case emptied(names: [String])
    case other(String)
  }
  /// The file or directory.
  public let path: String
  public let problem: Problem

  public init(_ path: String, _ problem: Problem) {
    self.path = path
    self.problem = problem
  }

  public var description: String {
    switch problem {
    case .found(let what, let remedy): "\(path): \(what)." + (remedy.map { " \($0)" } ?? "")
    case .missing(let names):
      "\(path): \(count(names, "tensor is", "tensors are")) missing: \(list(names)). "
        + "Check that the download is complete and that config.json is from the same revision."
    case .missingShards(let files):
      "\(path): the index names \(count(files, "file that is", "files that are")) not there: \(list(files)). Download the missing files again."
    case .unexpected(let names, let family):
      "\(path): the \(family) family has no place for \(count(names, "tensor", "tensors")): \(list(names)). "
        + "The model differs from that family; converting it would give wrong results."
    case .shape(let tensor, let found, let expected, let why):
      "\(path): '\(tensor)' has shape \(found), expected \(expected) (\(why)). Check that weights and configuration belong together."
    case .elementType(let tensor, let found, let supported):
      "\(path): '\(tensor)' is stored as \(found), which cannot be read as numbers here. Supported: \(supported.joined(separator: ", "))."
    case .configuration(let key, let file, let reason):
      "\(path): \(file): '\(key)' \(reason)."
    case .unsupportedFamily(let name, let supported):
      "\(path): model family '\(name)' is not supported. Supported: \(supported.joined(separator: ", "))."
    case .unsupportedSettings(let settings, let file):
      "\(path): \(file) sets \(settings.joined(separator: ", ")), which \(settings.count == 1 ? "is" : "are") not supported. "
        + "Merge the adapter with the program that made it and refit with the merged model instead."
    case .sharding(let reason): "\(path): \(reason)"
    case .emptied(let names):
      "\(path): \(count(names, "tensor was", "tensors were")) emptied by pruning or stripping: \(list(names)). "
        + "Give the full weights instead."
    case .other(let reason): "\(path): \(reason)"
    }
  }

  private func count(_ names: [String], _ one: String, _ many: String) -> String {
    names.count == 1 ? "1 \(one)" : "\(names.count) \(many)"
  }
  private func list(_ names: [String]) -> String { names.joined(separator: ", ") }
}
