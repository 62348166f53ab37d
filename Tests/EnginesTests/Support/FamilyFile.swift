import Checkpoints
import Families
import Networks
import SystemPackage
import TestSupport
import Testing
import WeightSources

/// The GGUF file of a small model (Expected/families), with keys renamed as if its converter had not written them, and the network that it
/// then means.
struct FamilyFile {
  let warnings: [String]
  let network: Network
  private static let place = FilePath(#filePath).removingLastComponent().removingLastComponent().appending("Expected/families")

  /// - Parameter keys: Whole keys that get another last letter, so that nobody reads them.
  init(_ name: String, without keys: [String] = [], in directory: TemporaryDirectory) throws {
    var bytes = try #require(contents(Self.place.appending(name).appending("model.gguf")))
    for key in keys {
      let old = Array(key.utf8)
      let start = try #require((0..<min(bytes.count, 1 << 14) - old.count).first { bytes[$0..<$0 + old.count].elementsEqual(old) }, "\(key)")
      bytes[start + old.count - 1] = UInt8(ascii: "?")
    }
    directory.write("model.gguf", bytes)
    let source = try ModelSource(directory("model.gguf"))
    warnings = source.warnings.map(\.subject)
    let config = try CheckpointConfig(parsing: source.model.checkpointConfig(elementType: .float32, mapping: Mapping()))
    network = try ModelFamily.network(config: config, rank: 0, sharesEmbedding: false)
  }

  var attentions: [Attention] { network.operations.compactMap { if case .attention(let attention) = $0 { attention } else { nil } } }
  var embeddingScale: Float? { network.operations.lazy.compactMap { if case .embed(let embed) = $0 { embed.scale } else { nil } }.first }
  var unaries: [Unary.Kind] { network.operations.compactMap { if case .unary(let unary) = $0 { unary.kind } else { nil } } }
}
