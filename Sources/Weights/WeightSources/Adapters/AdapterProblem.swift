import Files
public import SystemPackage
import Tensors

/// One reason why an adapter cannot be put on a model.
public struct AdapterProblem: Sendable, Equatable {
  /// What a problem is about; problems of a kind are shown under one heading.
  public enum Kind: Sendable, Equatable {
    /// Files that are absent, or not what their names say.
    case files
    /// Settings that make of the tensors something else than a change of weights.
    case settings
    /// Settings whose values cannot be read.
    case values
    /// Another architecture than the model's.
    case architecture
    /// Adapter tensors whose names say nothing that is known.
    case names
    /// Modules that the model does not have.
    case modules
    /// Biases of modules that have none in the model.
    case biases
    /// A factor without the other, or a setting that asks for a tensor that is not there.
    case partners
    /// Factors that do not fit the module's weight.
    case shapes
    /// Tensors that are not of a float type.
    case elementTypes
    /// The adapter's model has another number of tokens.
    case vocabulary
    /// Embedding table and output head are one table here, and the adapter changes them differently.
    case tiedTables
  }
  /// By it problems are grouped.
  public let kind: Kind
  /// What is wrong, in a line of at most 270 characters.
  public let detail: String
  /// What to do about it: a sentence.
  public var remedy: String

  /// - Parameter detail: Cut to 270 characters.
  public init(_ kind: Kind, _ detail: String, remedy: String) {
    self.kind = kind
    self.detail = SourceWarning.shortened(detail, to: Self.lengthLimit)
    self.remedy = remedy
  }
  private static let lengthLimit = 270

  /// A detail with names, as many of them as fit: none loses a part so that others have room.
  init(_ kind: Kind, naming names: [String], remedy: String, _ detail: (NameSummary) -> String) {
    var text = detail(NameSummary(names))
    if text.count > Self.lengthLimit {
      let excess = text.count - Self.lengthLimit + 20  // for the words that count the rest
      text = detail(NameSummary(names, characters: NameSummary.characterLimit - excess))
    }
    self.init(kind, text, remedy: remedy)
  }

  /// The line above problems of this kind.
  public var heading: String {
    switch kind {
    case .files: "The adapter's files cannot be used"
    case .settings: "The adapter is no plain change of weights"
    case .values: "The adapter's settings cannot be read"
    case .architecture: "The adapter is for another architecture"
    case .names: "Tensors of no LoRA adapter"
    case .modules: "The model has no such modules"
    case .biases: "The model has no such biases"
    case .partners: "Parts of the adapter are missing"
    case .shapes: "The adapter's shapes do not fit"
    case .elementTypes: "The adapter's numbers cannot be read"
    case .vocabulary: "The adapter's vocabulary has another size"
    case .tiedTables: "Embedding table and output head are one table"
    }
  }
}

extension AdapterProblem {
  /// Whether the cause may be that the adapter is another model's.
  public var suggestsOtherModel: Bool { remedy.contains("trained on this model") || remedy.contains("trained on another model") }
}

/// Everything that is wrong with an adapter, found before any weight is read.
public struct AdapterError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The adapter's directory or GGUF file.
  public let path: FilePath
  /// At least one.
  public let problems: [AdapterProblem]

  /// - Parameter path: As messages show it.
  public init(_ path: FilePath, _ problems: [AdapterProblem]) {
    self.path = path
    self.problems = problems
  }

  public var description: String {
    "\(path.inMessage): the adapter cannot be put on this model.\n"
      + problems.map { "\($0.heading):\n  \($0.detail)\n  → \($0.remedy)" }.joined(separator: "\n")
  }
}
