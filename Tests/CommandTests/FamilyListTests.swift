import SystemPackage
import TestSupport
import Testing

/// The table of families is printed and stands in docs/models.md: the same one.
@Suite struct FamilyListTests {
  @Test func `the table of the documents is the one that convert prints`() throws {
    let printed = try Command.convert(["--list_families"])
    #expect(printed.status == 0 && printed.errors == "", "\(printed.errors)")
    let lines = printed.output.split(separator: "\n")
    #expect(lines.count > 8 && lines.allSatisfy { $0.hasPrefix("|") && $0.hasSuffix("|") })
    let path = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent().appending("docs/models.md")
    let document = String(decoding: try #require(contents(path)), as: UTF8.self)
    #expect(document.contains(printed.output), "write what is printed into docs/models.md:\n\(printed.output)")
  }
}
