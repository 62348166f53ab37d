import Files
import JSON

/// Walks the header of a GGUF file from front to back through a window, and never past the file's end.
///
/// Every count and length that comes out of the file is compared with what is left of it before anything is allocated.
struct GGUFCursor {
  private let file: ReadableFile
  private var window: [UInt8] = []
  /// File offset of `window[0]`.
  private var windowStart = 0
  private(set) var offset = 0
  private let windowByteCount: Int

  init(_ file: ReadableFile, windowByteCount: Int = 1 << 18) {
    self.file = file
    self.windowByteCount = windowByteCount
  }

  var remaining: Int { file.byteCount - offset }

  func failed(_ problem: GGUFError.Problem, at offset: Int? = nil) -> GGUFError {
    GGUFError(path: file.path.string, offset: offset ?? self.offset, problem: problem)
  }

  /// Makes the next `count` bytes available in the window and returns their index there.
  private mutating func take(_ count: Int) throws(GGUFError) -> Int {
    guard count <= remaining else { throw failed(.truncated(needed: count, available: remaining)) }
    if offset + count > windowStart + window.count {
      let end = min(file.byteCount, offset + max(count, windowByteCount))
      do { window = try file.bytes(offset..<end) } catch { throw failed(.file(error)) }
      windowStart = offset
    }
    defer { offset += count }
    return offset - windowStart
  }

  /// The next little-endian integer.
  mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_: T.Type = T.self) throws(GGUFError) -> T {
    let width = T.bitWidth / 8
    let start = try take(width)
    var value: T = 0
    for index in (0..<width).reversed() { value = value << 8 | T(window[start + index]) }
    return value
  }

  /// A count of things that take at least `minimumByteCount` bytes each, so that a count beyond the file is refused
  /// before it is used.
  mutating func count(_ what: String, minimumByteCount: Int, limit: Int = .max) throws(GGUFError) -> Int {
    let start = offset
    let count: UInt64 = try integer()
    let most = min(remaining / minimumByteCount, limit)
    guard count <= UInt64(most) else { throw failed(.countTooLarge(what: what, count: count, limit: most), at: start) }
    return Int(count)
  }

  /// A string: 64-bit length, then UTF-8.
  mutating func string(_ what: @autoclosure () -> String, limit: Int = .max) throws(GGUFError) -> String {
    let length = try count("the length of \(what())", minimumByteCount: 1, limit: limit)
    let textOffset = offset
    let start = try take(length)
    guard let text = String(validating: window[start..<start + length], as: UTF8.self) else {
      throw failed(.invalidText(what: what()), at: textOffset)
    }
    guard !CombiningMarks.haveRun(in: text, longerThan: CombiningMarks.limit) else {
      throw failed(.tooManyMarks(what: what(), limit: CombiningMarks.limit), at: textOffset)
    }
    return text
  }
}
