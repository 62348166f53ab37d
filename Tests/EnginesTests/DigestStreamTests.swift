import Crypto
import Engines
import TestSupport
import Testing

@Suite struct DigestStreamTests {
  /// Lengths on both sides of a block's end and of the place where the length goes.
  private let lengths = [0, 1, 3, 54, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 1000, 4096, 100_003]

  @Test func `a digest is the library's, however the bytes are cut`() {
    var random = SeededGenerator(seed: 1)
    for length in lengths {
      let bytes = (0..<length).map { _ in UInt8.random(in: .min ... .max, using: &random) }
      let want = hexadecimal(SHA256.hash(data: bytes))
      for usesLibrary in [DigestStream.needsLibrary, true] {
        for most in [1, 7, 64, 200, 1 << 20] where length < 5000 || most > 7 {
          let stream = DigestStream(usesLibrary: usesLibrary)
          for piece in pieces(bytes, most: most, &random) { unsafe piece.withUnsafeBytes { unsafe stream.update($0) } }
          #expect(stream.finalize() == want, "\(length) bytes in pieces of up to \(most)")
        }
      }
    }
  }

  @Test func `two streams in step give what each gives alone`() {
    var random = SeededGenerator(seed: 2)
    for round in 0..<300 {
      let both = (0..<2).map { _ in
        (0..<(lengths.randomElement(using: &random) ?? 0)).map { _ in UInt8.random(in: .min ... .max, using: &random) }
      }
      let cut = both.map { pieces($0, most: [5, 64, 130, 10_000][round % 4], &random) }
      let libraries = [round % 7 == 0 || DigestStream.needsLibrary, round % 5 == 0 || DigestStream.needsLibrary]
      let streams = libraries.map { DigestStream(usesLibrary: $0) }
      for index in 0..<max(cut[0].count, cut[1].count) {
        let (a, b) = (index < cut[0].count ? cut[0][index] : [], index < cut[1].count ? cut[1][index] : [])
        unsafe a.withUnsafeBytes { a in
          unsafe b.withUnsafeBytes { b in unsafe DigestStream.update(streams[0], a, streams[1], b) }
        }
      }
      for (stream, bytes) in zip(streams, both) { #expect(stream.finalize() == hexadecimal(SHA256.hash(data: bytes))) }
    }
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

  private func hexadecimal(_ digest: SHA256.Digest) -> String {
    digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
