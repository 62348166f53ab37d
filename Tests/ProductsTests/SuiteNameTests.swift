import Foundation
import Testing

/// A failing test is found by its suite's name in the log.
@Suite struct SuiteNameTests {
  @Test func `no two suites have one name`() throws {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    var files: [String: [String]] = [:]
    let walk = FileManager.default.enumerator(at: tests, includingPropertiesForKeys: nil)
    while let file = walk?.nextObject() as? URL {
      guard file.pathExtension == "swift" else { continue }
      let text = try String(contentsOf: file, encoding: .utf8)
      for match in text.matches(of: /(?m)^ *(?:@Suite.* )?(?:(?:public|private|fileprivate|final) )*(?:struct|class|enum|actor) (\w+Tests)\b/) {
        files[String(match.1), default: []].append(file.pathComponents.suffix(2).joined(separator: "/"))
      }
    }
    #expect(files.count > 150)
    for (suite, files) in files where files.count > 1 { Issue.record("\(suite) is in \(files.sorted().joined(separator: ", "))") }
  }
}
