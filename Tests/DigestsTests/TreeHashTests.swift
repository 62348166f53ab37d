import Digests
import TestSupport
import Testing

@Suite struct TreeHashTests {
  /// What Python makes of ``bytes(_:)`` with hashlib:
  ///
  ///     def tree(b):
  ///         if len(b) <= 65536: return sha256(b).digest()
  ///         return tree(b"".join(sha256(b[i:i + 65536]).digest() for i in range(0, len(b), 65536)))
  private static let known: [(length: Int, digest: String)] = [
    (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
    (65535, "c98a26fb0cce02b83ad111947e5bafe8ac9871e9e561969691f0eb5375a1e42b"),
    (65536, "6cbb4fd405d737a29e031cc725cd8c40cfe8c17dba0709378bcf1644471ea72c"),
    (65537, "73dd65fe68195f15d07e9d72c0b20d9df7dacc255ddeeeda8a8bd6f212877651"),
    (131072, "c08d38af2575c75091b2f0eaad2d90a12a51475c00ef24d472f4cd8a08971ce9"),
    (131073, "0d28b2e8f028dcaa0921339191bfe44f70ebe00a3b4c3c9138d5f2412316c68f"),
    (200000, "4dbe894e8b2964655a2c16e12ec320756e4f42e278b1e41bcc84ab403f028c55"),
    (1000000, "fe5c69cadedc3e25d3b3e463d1f649ea67f34a3d35704e39552b8adbb8ccd057"),
    (134217728, "c20531b036b2a0777b809b0b0025c9f9d9965c535aa4b5d2cd8a235265d0521a"),
    (134217733, "44b8d0065e872739de9bf1bda91dec8583a29ee3114010c70c480a1ce86a4701"),
  ]
  /// Every 64 KiB `(i*i*7 + i*13 + 5) & 255`, the first byte of each its number.
  private static func bytes(_ count: Int) -> [UInt8] {
    let base = (0..<65536).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 7 &+ $0 &* 13 &+ 5) }
    var all: [UInt8] = []
    all.reserveCapacity(count + 65536)
    var number: UInt8 = 0
    while all.count < count {
      let start = all.count
      all += base
      all[start] = number
      number &+= 1
    }
    return Array(all.prefix(count))
  }

  @Test func `a digest is that of hashlib, however the bytes are cut`() {
    var random = SeededGenerator(seed: 1)
    for (length, digest) in Self.known {
      let bytes = Self.bytes(length)
      for most in length > 1 << 22 ? [1 << 22] : [1 << 21, 300_000, 70_000, 5000] {
        var tree = TreeHash()
        unsafe bytes.withUnsafeBytes { all in
          var start = 0
          while start < length {
            let end = min(length, start + Int.random(in: 1...most, using: &random))
            unsafe tree.update(UnsafeRawBufferPointer(rebasing: all[start..<end]))
            start = end
          }
        }
        #expect(tree.finalize().hexadecimal == digest, "\(length) bytes, at most \(most) at a time")
      }
    }
  }

  @Test func `a part is checked alone against the leaves, which give the digest`() {
    let bytes = Self.bytes(200_000)
    let leaves = stride(from: 0, to: bytes.count, by: TreeHash.leafByteCount).map { SHA256.hash(Array(bytes[$0..<min($0 + TreeHash.leafByteCount, bytes.count)])) }
    #expect(TreeHash.digest(ofLeaves: leaves.flatMap(\.bytes)).hexadecimal == Self.known.first { $0.length == 200_000 }?.digest)
    #expect(TreeHash.digest(ofLeaves: leaves[0].bytes) == leaves[0])
  }
}
