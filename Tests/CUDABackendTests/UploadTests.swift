import CUDABackend
import Testing

@Suite struct UploadTests {
  @Test func `pieces of an upload cover it once`() {
    for byteCount in [0, 1, 64, 4096, 4097, 5 * 4096 - 100] {
      let pieces = Upload.pieces(byteCount, of: 4096)
      #expect(pieces.reduce(0) { $0 + $1.count } == byteCount && pieces.allSatisfy { (1...4096).contains($0.count) })
      #expect(zip(pieces, pieces.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
    }
  }
}
