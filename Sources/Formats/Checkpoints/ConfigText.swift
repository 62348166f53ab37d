import JSON

/// Edits of `config.json` that leave every other byte as it is.
package enum ConfigText {
  /// The text with its top-level `"is_pruned"` set to true: an existing value is replaced, else a member is added at
  /// the end in the style of the others.
  ///
  /// - Parameter text: One JSON object; it has been parsed before.
  package static func markedPruned(_ text: [UInt8]) -> [UInt8] {
    let members = members(of: text)
    if let member = members.found.last(where: { $0.key == "is_pruned" }) {
      return Array(text[..<member.value.lowerBound]) + Array("true".utf8) + Array(text[member.value.upperBound...])
    }
    let colon = members.found.first.map { text[$0.keyEnd..<$0.value.lowerBound].count == 1 } == true ? ":" : ": "
    let member = Array("\"is_pruned\"\(colon)true".utf8)
    guard let last = members.found.last else {
      return Array(text[...members.open]) + member + Array(text[members.close...])
    }
    // Between the brace or comma before the last member and its key: the white space that sets members apart.
    let gap = Array(text[last.gap])
    let separator = members.found.count == 1 && !gap.contains(0x0A) ? (colon == ":" ? [] : [0x20]) : gap
    return Array(text[..<last.value.upperBound]) + [UInt8(ascii: ",")] + separator + member + Array(text[last.value.upperBound...])
  }

  /// The text without its top-level `"is_pruned"`: the inverse of ``markedPruned(_:)`` where that added the member.
  package static func unmarked(_ text: [UInt8]) -> [UInt8] {
    let members = members(of: text).found
    guard let index = members.lastIndex(where: { $0.key == "is_pruned" }) else { return text }
    let member = members[index]
    if index > 0 {
      return Array(text[..<members[index - 1].value.upperBound]) + Array(text[member.value.upperBound...])
    }
    let end = members.count > 1 ? members[1].gap.lowerBound : member.value.upperBound
    return Array(text[..<member.gap.lowerBound]) + Array(text[end...])
  }

  private struct Member {
    let key: String
    /// White space before the key.
    let gap: Range<Int>
    let keyEnd: Int
    let value: Range<Int>
  }

  /// Where the members of the outermost object are.
  private static func members(of text: [UInt8]) -> (found: [Member], open: Int, close: Int) {
    func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }
    func stringEnd(_ start: Int) -> Int {
      var index = start + 1
      while index < text.count, text[index] != UInt8(ascii: "\"") { index += text[index] == UInt8(ascii: "\\") ? 2 : 1 }
      return index + 1
    }
    var found: [Member] = []
    var index = 0
    while index < text.count, text[index] != UInt8(ascii: "{") { index += 1 }
    let open = index
    index += 1
    while index < text.count {
      let gapStart = index
      while index < text.count, isSpace(text[index]) { index += 1 }
      guard index < text.count, text[index] == UInt8(ascii: "\"") else { break }  // the closing brace
      let keyStart = index
      index = stringEnd(index)
      let keyEnd = index
      let key = (try? JSONValue(parsing: Array(text[keyStart..<keyEnd])))?.string ?? ""
      while index < text.count, text[index] != UInt8(ascii: ":") { index += 1 }
      index += 1
      while index < text.count, isSpace(text[index]) { index += 1 }
      let valueStart = index
      var depth = 0
      scan: while index < text.count {
        switch text[index] {
        case UInt8(ascii: "\""):
          index = stringEnd(index)
          continue
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
          if depth == 0 { break scan }
          depth -= 1
        case UInt8(ascii: ","): if depth == 0 { break scan }
        default: break
        }
        index += 1
      }
      var valueEnd = index
      while valueEnd > valueStart, isSpace(text[valueEnd - 1]) { valueEnd -= 1 }
      found.append(Member(key: key, gap: gapStart..<keyStart, keyEnd: keyEnd, value: valueStart..<valueEnd))
      guard index < text.count, text[index] == UInt8(ascii: ",") else { break }
      index += 1
    }
    return (found, open, min(index, text.count))
  }
}
