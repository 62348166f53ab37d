import Checkpoints
import JSON
import SystemPackage
import TestSupport
import Testing

struct PruneNamesTests {
  /// Made by Scripts/reference/prune_families.py, where each tensor of 17 families in 14 quantisations is listed with
  /// whether pruning takes it.
  @Test func `the independent list of names is followed`() throws {
    let path = FilePath(#filePath).removingLastComponent().appending("Expected/prune_names.json")
    let text = try #require(contents(path))
    let names = try #require(try JSONValue(parsing: text).object)
    #expect(names.count > 600)
    for (name, isPruned) in names { #expect(PruneSelection.isPrunable(name) == isPruned.bool, "\(name)") }
  }
}
