import Foundation
import Testing

/// The package's manifest against its sources: what a user of a library can name must be a library, too.
@Suite struct ManifestTests {
  private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  private func products() throws -> Set<String> {
    let manifest = try String(contentsOf: root.appendingPathComponent("Package.swift"), encoding: .utf8)
    return Set(manifest.matches(of: /\.library\(name: "(\w+)"/).map { String($0.1) })
  }

  /// Where each module lies: in a room, or in a folder of its own.
  private func folders() throws -> [String: URL] {
    let manifest = try String(contentsOf: root.appendingPathComponent("Package.swift"), encoding: .utf8)
    var found: [String: URL] = [:]
    for match in manifest.matches(of: /library\("(\w+)"(?:, in: "(\w+)")?, \[/) {
      found[String(match.1)] = root.appendingPathComponent("Sources/" + (match.2.map { "\($0)/" } ?? "") + match.1)
    }
    for match in manifest.matches(of: /path: "(Sources\/(?:C|Foundations)\/(\w+))"/) { found[String(match.2)] = root.appendingPathComponent(String(match.1)) }
    return found
  }

  /// Modules of this package that the sources of `module` import.
  ///
  /// - Parameter publicly: Those alone whose types the module shows.
  private func imports(_ module: String, publicly: Bool = false) throws -> Set<String> {
    let folders = try folders()
    var found: Set<String> = []
    let files = FileManager.default.enumerator(at: try #require(folders[module]), includingPropertiesForKeys: nil)
    while let file = files?.nextObject() as? URL {
      guard file.pathExtension == "swift" else { continue }
      let text = try String(contentsOf: file, encoding: .utf8)
      for match in text.matches(of: /(?m)^((?:public |package |@\w+(?:\(\w+\))? )*)import (\w+)/) where !publicly || match.1 == "public " {
        found.insert(String(match.2))
      }
    }
    return found.filter { folders[$0] != nil }
  }

  @Test func `every module in a library's public interface is a library`() throws {
    let products = try products()
    #expect(products.count > 5)
    for product in products.sorted() {
      // C modules come with the Swift module that uses them.
      let missing = try imports(product, publicly: true).subtracting(products).filter { !$0.hasPrefix("C") || ["Checkpoints", "CPUBackend", "CUDABackend"].contains($0) }
      #expect(missing.isEmpty, "\(product) shows types of \(missing.sorted())")
    }
  }

  @Test func `arrows between modules go one way, as the manifest has them, and no module above the registry knows a back end`() throws {
    let manifest = try String(contentsOf: root.appendingPathComponent("Package.swift"), encoding: .utf8)
    // Targets of the package's own in the order of the list, with what each depends on.
    let declared = manifest.components(separatedBy: "\n    library(\"").dropFirst().map { piece -> (name: String, dependencies: Set<String>) in
      let names = (piece.components(separatedBy: "])").first ?? "").replacing(/, in: "\w+"/, with: "").matches(of: /(\w+)"/).map { String($0.1) }
      return (names.first ?? "", Set(names.dropFirst()))
    }
    let folders = try folders()
    let modules = folders.keys.sorted()
    for (module, folder) in folders { #expect(FileManager.default.fileExists(atPath: folder.path), "\(module)") }
    // Every folder is a room, or a module that the manifest has.
    let rooms = try FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent("Sources").path).filter { !$0.hasPrefix(".") }
    let known = Set(folders.values.map { $0.path.dropFirst(root.appendingPathComponent("Sources").path.count + 1).split(separator: "/")[0] }.map(String.init))
    #expect(Set(rooms) == known.union(["Executables"]), "\(rooms)")
    #expect(declared.count > 12)
    var above = Set(["CPUKernels", "CUDADriver", "CUDAKernels", "CSystemCalls", "CSHA256", "JSON"])
    for (name, all) in declared {
      let dependencies = all.intersection(modules)
      let used = try imports(name)
      #expect(used.isSubset(of: dependencies), "\(name) imports \(used.subtracting(dependencies).sorted()), which the manifest does not say")
      #expect(dependencies.isSubset(of: above), "\(name) depends on \(dependencies.subtracting(above).sorted()), which stand below it in the list")
      #expect(dependencies == used, "\(name) does not import \(dependencies.subtracting(used).sorted())")
      above.insert(name)
      if name != "Backends" { #expect(used.isDisjoint(with: ["CPUBackend", "CUDABackend"]), "\(name) knows a back end") }
      if name != "CUDABackend" { #expect(used.isDisjoint(with: ["CUDADriver", "CUDAKernels"]), "\(name)") }
      if ["Inference", "Serving", "Commands", "Execution"].contains(name) { #expect(!used.contains("CPUKernels"), "\(name)") }
    }
    #expect(Set(modules).subtracting(above).isEmpty, "\(Set(modules).subtracting(above))")
  }

  /// The table of docs/architecture.md from top to bottom: a room, its name empty where it is that of the row above, and its modules.
  private func picture() throws -> [(room: String, modules: [String])] {
    let text = try String(contentsOf: root.appendingPathComponent("docs/architecture.md"), encoding: .utf8)
    let rows = text.components(separatedBy: "\n| room | module |").last?.components(separatedBy: "\n\n").first?.split(separator: "\n").dropFirst(2) ?? []
    var room = ""
    return rows.map { row in
      let cells = row.split(separator: "|").map { $0.matches(of: /`([^`]+)`/).map { String($0.1) } }
      room = cells[0].first ?? room
      return (room, cells[1])
    }
  }

  @Test func `the picture of the rooms has every module in its room, above what it depends on`() throws {
    let picture = try picture()
    let drawn = picture.flatMap { row in row.modules.map { (name: $0, room: row.room) } }
    let rooms = try folders().mapValues { folder in
      let path = folder.path.dropFirst(root.appendingPathComponent("Sources").path.count + 1)
      return String(path.split(separator: "/")[0])
    }
    #expect(drawn.filter { $0.room != "Executables" }.map(\.name).sorted() == rooms.keys.sorted(), "each once")
    for (name, room) in drawn where room != "Executables" { #expect(rooms[name] == room, "\(name)") }
    // A room is drawn in one piece: Schemes stands with the others of its room, above some that read it.
    for (index, row) in picture.enumerated() where row.room != "Executables" {
      let above = Set(picture[...index].flatMap(\.modules)).subtracting(["Schemes"])
      for module in row.modules {
        let wrong = try imports(module).intersection(above).subtracting([module])
        #expect(wrong.isEmpty, "\(module) imports \(wrong.sorted()), which do not stand below it in docs/architecture.md")
      }
    }
  }
}
