import Foundation
import Testing

/// The package's manifest against its sources: what a user of a library can name must be a library, too.
@Suite struct ManifestTests {
  private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  private func products() throws -> Set<String> {
    let manifest = try String(contentsOf: root.appendingPathComponent("Package.swift"), encoding: .utf8)
    return Set(manifest.matches(of: /\.library\(name: "(\w+)"/).map { String($0.1) })
  }

  /// Modules of this package that the sources of `module` import publicly.
  private func publicImports(_ module: String) throws -> Set<String> {
    let folder = root.appendingPathComponent("Sources/\(module)")
    let sources = root.appendingPathComponent("Sources")
    var found: Set<String> = []
    let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
    while let file = files?.nextObject() as? URL {
      guard file.pathExtension == "swift" else { continue }
      let text = try String(contentsOf: file, encoding: .utf8)
      found.formUnion(text.matches(of: /(?m)^public import (\w+)/).map { String($0.1) })
    }
    return found.filter { FileManager.default.fileExists(atPath: sources.appendingPathComponent($0).path) }
  }

  @Test func `every module in a library's public interface is a library`() throws {
    let products = try products()
    #expect(products.count > 5)
    for product in products.sorted() {
      // C modules come with the Swift module that uses them.
      let missing = try publicImports(product).subtracting(products).filter { !$0.hasPrefix("C") || $0 == "Checkpoints" || $0 == "CPUBackend" }
      #expect(missing.isEmpty, "\(product) shows types of \(missing.sorted())")
    }
  }
}
