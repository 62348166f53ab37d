import Digests
import TestSupport
import Testing

@Suite struct SHA256Tests {
  /// Lengths on both sides of a block's end and of the place where the length goes, and what Python's hashlib makes of
  /// ``bytes(_:)``: `bytes((i*i*7 + i*13 + n) & 255 for i in range(n))`.
  private let known: [(length: Int, digest: String)] = [
    (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (1, "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"),
    (3, "f73fe17b0403928f9b06cbb5a750473657e5482beb27bfb703c31a2b0413d968"),
    (54, "70bf30c1c76b821b3abb19d28f7cb330ef245636f2e0a0e19ad9f73745988cee"),
    (55, "2282cf889e4c3d258d8b5c71e3a019d890ec03f88af2e8f6576e70242dcd00b4"),
    (56, "991745fa701177c482da0eb57b15cbf882143ea83778530eb7b8691023ec2c94"),
    (57, "f777b87ada75033f8b69ef75369572a4fe6786b377182b39417378d2d8ad6805"),
    (63, "1524aa0d8d0ca3b5187ce201f12902e6337d3908767fa4e9342ec200a2ce73d6"),
    (64, "0e6a81d4bb304d7cbe8e4463e0ac69e0f3af220724f9eabda3b85a0e51f4d4cd"),
    (65, "1bf94082b5bdc830f0ae1e87ddb2fa0ba8f991344fe26ebacbe4fb4aaa8137b7"),
    (119, "e210a8970d4a79e416b6818ff598e76a98ff3bd54c98a793f80750e6722bb8e9"),
    (120, "69204eefcfb9e93cbdd45ae49702c54eb28f122169b8efef44fdff30533d0e6f"),
    (127, "673571a6caddc22e60beb141d8c4165988f490d8753e2ce4dcd01e8dcd7f3c3e"),
    (128, "bab0307be73d5b1ae662167aa617d7cf75f50fc9aece38ae0bb79f6558f21c40"),
    (129, "fdb84b7ecc30986dd61bfdc7ebde1f488559e5b0b47828bb4a4b629accdf320f"),
    (1000, "2c90a76019502dc9df748bd4ad3c848c5bc1a1e12c65df9081b4cbbcfaa38657"),
    (4096, "55d5a1d412847df4af11e3b5127651724de269c4177486999acaaf1e4127a739"),
    (100003, "3b43e8c58e0ca31bda279300f1ed1c0feba7531a323ac996ef705002697175f9"),
  ]
  private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 7 &+ $0 &* 13 &+ count) } }

  @Test func `the examples of the standard`() {
    #expect(SHA256.hash(Array("abc".utf8)).hexadecimal == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    let million = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
    #expect(SHA256.hash(million).hexadecimal == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test func `a digest is that of hashlib, however the bytes are cut, with the processor's instructions and without`() {
    var random = SeededGenerator(seed: 1)
    for (length, digest) in known {
      for usesInstructions in [true, false] {
        for most in [1, 7, 64, 200, 1 << 20] where length < 5000 || most > 7 {
          var hash = SHA256(usesInstructions: usesInstructions)
          for piece in pieces(bytes(length), most: most, &random) { hash.update(piece) }
          #expect(hash.finalize().hexadecimal == digest, "\(length) bytes in pieces of up to \(most)")
        }
      }
    }
  }

  @Test func `two streams in step give what each gives alone`() {
    var random = SeededGenerator(seed: 2)
    for round in 0..<300 {
      let both = (0..<2).map { _ in known.randomElement(using: &random) ?? known[0] }
      let cut = both.map { pieces(bytes($0.length), most: [5, 64, 130, 10_000][round % 4], &random) }
      var (one, other) = (SHA256(usesInstructions: round % 7 > 0), SHA256(usesInstructions: round % 5 > 0))
      for index in 0..<max(cut[0].count, cut[1].count) {
        let (a, b) = (index < cut[0].count ? cut[0][index] : [], index < cut[1].count ? cut[1][index] : [])
        unsafe a.withUnsafeBytes { a in
          unsafe b.withUnsafeBytes { b in unsafe SHA256.update(&one, a, &other, b) }
        }
      }
      #expect(one.finalize().hexadecimal == both[0].digest)
      #expect(other.finalize().hexadecimal == both[1].digest)
    }
  }

  @Test func `a digest may be asked for on the way, and differs in any byte`() {
    var hash = SHA256()
    hash.update(bytes(129))
    let first = hash.finalize()
    #expect(first.isSame(as: hash.finalize()))
    hash.update([0])
    #expect(!first.isSame(as: hash.finalize()))
    #expect(first.hexadecimal.count == 64)
  }

  private func pieces(_ bytes: [UInt8], most: Int, _ random: inout SeededGenerator) -> [[UInt8]] {
    var result: [[UInt8]] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = min(rest.count, Int.random(in: 0...most, using: &random))
      result.append(Array(rest.prefix(count)))
      rest = rest.dropFirst(count)
    }
    return result
  }
}
