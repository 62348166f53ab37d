import Digests

/// How the digest of a weight is made.
public enum DigestKind: String, Sendable {
  /// A tree over leaves of 64 KiB: SHA-256 of at most a leaf, and the digest of the leaves' SHA-256 of more.
  case tree = "sha256-tree-64KiB"
  /// SHA-256 of all bytes: in lineages of format 1.
  case plain = "sha256"
}

/// The digest of bytes that come in pieces.
struct WeightHash {
  private var tree = TreeHash()
  private var plain: SHA256?

  init(_ kind: DigestKind) { plain = kind == .plain ? SHA256() : nil }

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    if plain != nil { unsafe plain?.update(bytes) } else { unsafe tree.update(bytes) }
  }

  /// In hexadecimal.
  func finalize() -> String { (plain?.finalize() ?? tree.finalize()).hexadecimal }
}
