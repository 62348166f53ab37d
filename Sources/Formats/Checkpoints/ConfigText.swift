package import JSON

/// Edits of `config.json` that leave every other byte as it is.
package enum ConfigText {
  /// The text with its top-level `"is_pruned"` set to true: an existing value is replaced, else a member is added at
  /// the end in the style of the others.
  ///
  /// - Parameter text: One JSON object; it has been parsed before.
  package static func markedPruned(_ text: [UInt8]) throws(JSONError) -> [UInt8] {
    let found = try JSONMemberPlaces(of: text)
    let members = found.members
    if let member = members.last(where: { $0.key == "is_pruned" }) {
      return Array(text[..<member.value.lowerBound]) + Array("true".utf8) + Array(text[member.value.upperBound...])
    }
    let colon = members.first.map { text[$0.keyEnd..<$0.value.lowerBound].count == 1 } == true ? ":" : ": "
    let member = Array("\"is_pruned\"\(colon)true".utf8)
    guard let last = members.last else {
      return Array(text[...found.open]) + member + Array(text[found.close...])
    }
    // Between the brace or comma before the last member and its key: the white space that sets members apart.
    let gap = Array(text[last.gap])
    let separator = members.count == 1 && !gap.contains(0x0A) ? (colon == ":" ? [] : [0x20]) : gap
    return Array(text[..<last.value.upperBound]) + [UInt8(ascii: ",")] + separator + member + Array(text[last.value.upperBound...])
  }

  /// The text without its top-level `"is_pruned"`: the inverse of ``markedPruned(_:)`` where that added the member.
  package static func unmarked(_ text: [UInt8]) throws(JSONError) -> [UInt8] {
    let members = try JSONMemberPlaces(of: text).members
    guard let index = members.lastIndex(where: { $0.key == "is_pruned" }) else { return text }
    let member = members[index]
    if index > 0 {
      return Array(text[..<members[index - 1].value.upperBound]) + Array(text[member.value.upperBound...])
    }
    let end = members.count > 1 ? members[1].gap.lowerBound : member.value.upperBound
    return Array(text[..<member.gap.lowerBound]) + Array(text[end...])
  }
}
