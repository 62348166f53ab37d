/// Where the members of a document's outermost object stand, for edits that leave every other byte as it is.
package struct JSONMemberPlaces: Sendable {
  /// Offsets in bytes from the start of the document.
  package struct Member: Sendable {
    package let key: String
    /// White space before the key, behind the brace or comma.
    package let gap: Range<Int>
    /// Behind the key's closing quotation mark.
    package let keyEnd: Int
    package let value: Range<Int>
  }
  /// Of the opening brace.
  package let open: Int
  /// In their order; a key may stand twice.
  package let members: [Member]
  /// Of the closing brace.
  package let close: Int

  /// - Parameter text: Up to 128 values deep; numbers that JSON lacks (`NaN`, …) may stand in it.
  /// - Throws: ``JSONError`` where it does not begin with a JSON object.
  package init(of text: [UInt8]) throws(JSONError) {
    var parser = JSONParser(bytes: text.span.bytes, maximumDepth: 128, allowsNonFinite: true)
    parser.skipSpace()
    open = parser.offset
    try parser.expect(UInt8(ascii: "{"), "'{'")
    var members: [Member] = []
    while true {
      let start = parser.offset
      parser.skipSpace()
      let gap = start..<parser.offset
      if members.isEmpty, parser.current == UInt8(ascii: "}") { break }
      guard parser.current == UInt8(ascii: "\"") else { throw parser.failed(.unexpectedEnd) }
      let key = try parser.string()
      let keyEnd = parser.offset
      parser.skipSpace()
      try parser.expect(UInt8(ascii: ":"), "':'")
      parser.skipSpace()
      let value = parser.offset
      _ = try parser.value()
      members.append(Member(key: key, gap: gap, keyEnd: keyEnd, value: value..<parser.offset))
      parser.skipSpace()
      guard parser.current == UInt8(ascii: ",") else { break }
      parser.offset += 1
    }
    close = parser.offset
    try parser.expect(UInt8(ascii: "}"), "'}'")
    self.members = members
  }
}
