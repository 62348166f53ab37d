import Files
import Threads

/// A range to be copied from one file to another.
struct CopyPiece: Sendable {
  let source: ReadableFile
  let range: Range<Int>
  let file: WritableFile
  let place: Int

  /// Cuts a range into pieces that workers share, at multiples of a block.
  static func split(_ source: ReadableFile, _ range: Range<Int>, to file: WritableFile, at place: Int) -> [CopyPiece] {
    stride(from: range.lowerBound, to: range.upperBound, by: 256 << 20).map { start in
      let end = min(start + 256 << 20, range.upperBound)
      return CopyPiece(source: source, range: start..<end, file: file, place: place + start - range.lowerBound)
    }
  }

  static func copy(_ pieces: [CopyPiece], workers: Int, _ progress: @escaping @Sendable (Int) -> Void) throws {
    try Parallel.forEach(pieces.count, workers: workers) { index in
      let piece = pieces[index]
      try piece.file.copyRange(
        from: piece.source, at: piece.range.lowerBound, to: piece.place, count: piece.range.count, progress: progress)
    }
  }
}
