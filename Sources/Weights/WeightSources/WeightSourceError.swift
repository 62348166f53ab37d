import Tensors

/// Why a place cannot give the weights that were asked of it: everything that was found, not only the first.
public struct WeightSourceError: Error, Equatable, Sendable, CustomStringConvertible {
  /// One thing that is wrong with a source.
  public enum Problem: Equatable, Sendable {
    /// Something else than was asked for: what is there, without a full stop, and what to do, a sentence.
    case found(String, remedy: String?)
    /// Tensors or files that should be there are not.
    case missing(names: [String])
    /// The output head is not there, and the model does not say that it has one table for both.
    case missingHead(name: String)
    /// Shard files named by an index that are not in the directory.
    case missingShards(files: [String])
    /// Tensors that have no place in the model family.
    case unexpected(names: [String], family: String)
    /// Tensors under other names than the family's, and why that is so: a sentence without its full stop, and a remedy.
    case misnamed(names: [String], cause: String, remedy: String)
    /// The embedding table has another number of rows than the configuration has tokens.
    case vocabulary(tensors: [String], rows: Int, configured: Int)
    /// A tensor of another shape than the configuration gives; `why` says what it follows from.
    case shape(tensor: String, found: [Int], expected: [Int], why: String)
    /// A tensor in a type that cannot be read here; `supported` are those that can.
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
    /// Tensors of a model in its author's format without elements, or flat: shards that a trainer did not gather.
    case ungathered(names: [String])
    /// Anything else: sentences, with the remedy.
    case other(String)
  }
  /// What to do about shards of a trainer.
  public static let gathering = "Save the model again from gathered parameters: stage3_gather_16bit_weights_on_model_save, or zero_to_fp32.py on the trainer's checkpoint."

  /// The file or directory.
  public let path: String
  /// At least one.
  public let problems: [Problem]
  /// The first of them.
  public var problem: Problem { problems[0] }

  /// - Parameter path: The file or directory, as messages show it.
  public init(_ path: String, _ problem: Problem) { self.init(path, [problem]) }

  /// - Precondition: There is a problem.
  public init(_ path: String, _ problems: [Problem]) {
    precondition(!problems.isEmpty, "an error has a problem")
    self.path = path
    self.problems = problems
  }

  /// One line, or a line for each problem; names of tensors stand on lines of their own, below what to do.
  public var description: String {
    let paragraphs = WeightSourceReport(path: path, problems: problems).paragraphs
    guard paragraphs.count > 1 else { return "\(path.inMessage): " + (paragraphs.first ?? []).joined(separator: "\n  ") }
    return "\(path.inMessage): \(paragraphs.count) kinds of problems:\n" + paragraphs.map { "  " + $0.joined(separator: "\n    ") }.joined(separator: "\n")
  }
}
