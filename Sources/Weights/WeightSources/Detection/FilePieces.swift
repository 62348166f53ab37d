import Files
import SystemPackage
import Tensors

/// Pieces of one file that were cut for an upload limit and are put together with `cat`: `m.gguf.part1of2`, `m.gguf-split-a`,
/// `m.safetensors.001`. None is a file of its own, as the parts of a split GGUF file are.
struct FilePieces {
  /// The name of the whole file.
  let whole: String
  /// In their order.
  let pieces: [String]
  /// How many there should be, where the names say it.
  let count: Int?

  private struct Piece {
    let whole: String
    let style: String
    let order: String
    let count: Int?
  }

  /// All pieces of the file that `name` is one of; nil where it is none.
  init?(_ name: String, among names: @autoclosure () -> [String]) {
    guard let piece = Self.piece(name) else { return nil }
    let all = names().compactMap { other in
      Self.piece(other).flatMap { $0.whole == piece.whole && $0.style == piece.style && $0.count == piece.count ? (name: other, order: $0.order) : nil }
    }
    whole = piece.whole
    count = piece.count
    // Numbers by their value, letters as they stand.
    pieces = all.sorted { ($0.order.count, $0.order) < ($1.order.count, $1.order) }.map(\.name)
  }

  private static func piece(_ name: String) -> Piece? {
    for ending in [".gguf", ".safetensors"] {
      let bytes = Array(name.utf8)
      // In ASCII alone a small letter is as long as a capital.
      let small = bytes.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 + 32 : $0 }
      guard let range = small.firstRange(of: Array(ending.utf8)), range.upperBound < small.count else { continue }
      let whole = String(decoding: bytes[..<range.upperBound], as: UTF8.self)
      var rest = Substring(String(decoding: bytes[range.upperBound...], as: UTF8.self))
      var style = ""
      func take(_ words: [String]) -> Bool {
        for word in words where rest.lowercased().hasPrefix(word) {
          style += word
          rest = rest.dropFirst(word.count)
          return true
        }
        return false
      }
      guard take([".", "-", "_"]) else { continue }
      let isNamed = take(["part", "split", "chunk"])
      let isApart = isNamed && take(["-", "_", "."])
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      if !digits.isEmpty {
        let order = String(digits.drop { $0 == "0" })
        rest = rest.dropFirst(digits.count)
        if rest.isEmpty { return isNamed || (2...4).contains(digits.count) ? Piece(whole: whole, style: style, order: order, count: nil) : nil }
        guard isNamed else { continue }
        _ = take(["-", "_", "."])
        guard take(["of"]) else { continue }
        _ = take(["-", "_", "."])
        if let count = Int(rest) { return Piece(whole: whole, style: style, order: order, count: count) }
      } else if isNamed, !rest.isEmpty, rest.count <= (isApart ? 3 : 2), rest.allSatisfy({ $0.isASCII && $0.isLetter }) {
        return Piece(whole: whole, style: style, order: String(rest), count: nil)
      }
    }
    return nil
  }

  /// What it is and what to do.
  var explanation: (what: String, remedy: String) {
    let what = pieces.count == 1 ? "\(NameSummary(pieces)) is a piece of \(whole)" : "\(NameSummary(pieces, limit: 4)) are pieces of one file, \(whole)"
    if let count, pieces.count != count { return ("\(what), of which there should be \(count)", "Download the missing ones, and put them together in their order: cat … > \(whole)") }
    guard pieces.count > 1 else { return (what, "Download the other pieces beside it, and put them together in their order: cat … > \(whole)") }
    let command = pieces.count <= 3 ? pieces.joined(separator: " ") : "$(ls -v \(beginning)*)"
    return (what, "Put them together: cat \(command.count <= 150 ? command : "…") > \(whole)")
  }
  /// Of all names.
  private var beginning: String {
    pieces.reduce(pieces.first ?? whole) { beginning, name in String(zip(beginning, name).prefix { $0 == $1 }.map(\.0)) }
  }
}
