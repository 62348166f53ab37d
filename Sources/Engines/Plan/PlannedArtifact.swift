import Digests
import JSON
import Networks

/// What a target made for an engine when it was built, such as machine code of its kernels. It depends on the plan alone and never on
/// weights, so it travels through every refit and strip as it is.
///
/// The plan lists it with its digest; its bytes are a tensor of the rank file, `[byteCount]` of uint8, behind the weights. What a target
/// does not know of it does not use.
public struct PlannedArtifact: Sendable, Hashable {
  /// Of the tensor: letters, digits, `.`, `_` and `-`; unlike any weight's.
  public var name: String
  /// From 1 to 2^28.
  public var byteCount: Int
  /// SHA-256 of its bytes, in hexadecimal.
  public var digest: String
  /// What it was made of.
  public var origin: ArtifactOrigin
  public init(name: String, byteCount: Int, digest: String, origin: ArtifactOrigin) {
    (self.name, self.byteCount, self.digest, self.origin) = (name, byteCount, digest, origin)
  }
}

/// By what a target tells whether an artifact is the one that it would make.
public struct ArtifactOrigin: Sendable, Hashable {
  /// SHA-256 of the source, in hexadecimal.
  public var sourceDigest: String
  /// As the compiler got them, in order.
  public var options: [String]
  /// What it is for, in the target's words, such as `sm_90a`.
  public var architecture: String
  /// By which program and version it was made: for people, and since another may give other bytes.
  public var compiler: String
  public init(sourceDigest: String, options: [String], architecture: String, compiler: String) {
    (self.sourceDigest, self.options, self.architecture, self.compiler) = (sourceDigest, options, architecture, compiler)
  }
}

/// An artifact with its bytes.
public struct TargetArtifact: Sendable {
  /// What the plan says of it.
  public let planned: PlannedArtifact
  /// At least one.
  public let bytes: [UInt8]
  public init(name: String, bytes: [UInt8], origin: ArtifactOrigin) {
    planned = PlannedArtifact(name: name, byteCount: bytes.count, digest: SHA256.hash(bytes).hexadecimal, origin: origin)
    self.bytes = bytes
  }
}

/// What a target made for a plan.
public struct TargetArtifacts: Sendable {
  /// In the order in which plan and file have them.
  public var made: [TargetArtifact]
  /// Why there are fewer than one might expect, a line each.
  public var notes: [String]
  public init(_ made: [TargetArtifact] = [], notes: [String] = []) { (self.made, self.notes) = (made, notes) }
}

extension PlannedArtifact {
  var json: JSONValue {
    [
      "name": .string(name), "byteCount": .int(byteCount), "sha256": .string(digest), "source": .string(origin.sourceDigest),
      "options": .strings(origin.options), "architecture": .string(origin.architecture), "compiler": .string(origin.compiler),
    ]
  }

  init(json: JSONValue) throws(PlanFormatError) {
    var options: [String] = []
    for option in try json.list("options") {
      guard let text = option.string else { throw PlanFormatError("an option of an artifact is not a text") }
      options.append(text)
    }
    self.init(
      name: try json.text("name"), byteCount: try json.size("byteCount"), digest: try json.text("sha256"),
      origin: ArtifactOrigin(
        sourceDigest: try json.text("source"), options: options, architecture: try json.text("architecture"), compiler: try json.text("compiler")))
  }
}

extension Plan {
  /// Artifacts that a file can hold beside the weights, in words that can be printed.
  func checkArtifacts() throws(PlanFormatError) {
    try require(artifacts.count <= 1 << 10, "it has too many artifacts")
    var names: Set<String> = []
    for artifact in artifacts {
      let (name, origin) = (artifact.name, artifact.origin)
      try require(Self.isWord(name, "._-"), "an artifact is called \"\(name.prefix(64))\"; letters, digits, '.', '_' and '-' are allowed")
      try require(weights[name] == nil && !EngineFile.isPadding(name), "an artifact is called \"\(name)\", as a weight or what fills up a file is")
      try require(names.insert(name).inserted, "two artifacts are called \"\(name)\"")
      try require((1...1 << 28).contains(artifact.byteCount), "the size of \"\(name)\" is out of range")
      try require(Self.isDigest(artifact.digest) && Self.isDigest(origin.sourceDigest), "a digest of \"\(name)\" is none")
      try require(Self.isWord(origin.architecture, "._-"), "the architecture of \"\(name)\" is not a word")
      try require(
        origin.options.count <= 64 && (origin.options + [origin.compiler]).allSatisfy(Self.isLine), "what \"\(name)\" was made with is not printable text")
    }
  }

  private static func isWord(_ text: String, _ more: String) -> Bool {
    let bytes = text.utf8, more = Set(more.utf8)
    return (1...128).contains(bytes.count)
      && bytes.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || more.contains($0) }
  }
  private static func isLine(_ text: String) -> Bool { text.utf8.count <= 4096 && text.utf8.allSatisfy { (0x20...0x7E).contains($0) } }
  private static func isDigest(_ text: String) -> Bool {
    text.utf8.count == 64 && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
  }
}
