import Files
import Foundation
import SystemPackage
import TestSupport
import Testing

struct FileTests {
  let directory = TemporaryDirectory()

  @Test func `a range is copied exactly, aligned or not, empty or not`() throws {
    var generator = SeededGenerator(seed: 1)
    let bytes = generator.bytes(300_000)
    let source = try ReadableFile(directory.write("source", bytes))
    for (index, (from, to, count)) in [(0, 0, 300_000), (4096, 8192, 200_000), (1, 4096, 77), (5, 3, 131_072), (9, 9, 0)].enumerated() {
      let file = try WritableFile(creating: directory("copy\(index)"))
      var told = 0
      try file.copyRange(from: source, at: from, to: to, count: count) { told += $0 }
      try file.close()
      let copy = contents(directory("copy\(index)")) ?? []
      #expect(Array(copy.dropFirst(to)) == Array(bytes[from..<from + count]) && told == count)
    }
  }
  @Test func `of several that write one file at once each is done, and none leaves anything`() async throws {
    let path = directory("written")
    // Left by a run that died.
    directory.write(".written.1a2b.drydock-new", "half")
    try await withThrowingTaskGroup(of: Void.self) { group in
      for writer in 0..<6 {
        group.addTask { for _ in 0..<40 { try AtomicFile.write(path, bytes: [UInt8](repeating: UInt8(writer), count: 1000 + writer)) } }
      }
      try await group.waitForAll()
    }
    let bytes = try #require(contents(path))
    #expect(bytes.count == 1000 + Int(bytes[0]) && bytes.allSatisfy { $0 == bytes[0] })
    #expect(names(in: directory.path) == ["written"])
  }
  @Test func `copying beyond the end of the source says so`() throws {
    let source = try ReadableFile(directory.write("source", [1, 2, 3]))
    let file = try WritableFile(creating: directory("copy"))
    let error = #expect(throws: FileError.self) { try file.copyRange(from: source, at: 1, to: 0, count: 5) }
    guard case .truncated = error?.problem else { return _ = Issue.record("\(String(describing: error))") }
  }
  @Test func `a mapping shows the file and outlives its name`() throws {
    let path = directory.write("mapped", [1, 2, 3])
    let mapped = try MappedFile(path)
    directory.write("other", [9])
    try FileManager.default.removeItem(atPath: path.string)
    #expect(mapped.withBytes { unsafe $0.unsafeLoad(fromByteOffset: 2, as: UInt8.self) } == 3)
    #expect(try MappedFile(directory.write("empty", "")).withBytes { $0.byteCount } == 0)
  }
  @Test func `directories, missing files and files that are too large are refused by name`() throws {
    for path in [directory.path, directory("absent")] {
      let error = #expect(throws: FileError.self) { try ReadableFile(path) }
      #expect(error?.path == path && error?.description.hasPrefix(path.string) == true)
    }
    directory.write("large", [1, 2, 3])
    #expect(throws: FileError.self) { try ReadableFile.contents(of: directory("large"), limit: 2) }
    #expect(try ReadableFile.contents(of: directory("large"), limit: 3) == [1, 2, 3])
  }
  @Test func `a file that exists is not written over`() throws {
    directory.write("there", "precious")
    #expect(throws: FileError.self) { try WritableFile(creating: directory("there")) }
    #expect(text(directory("there")) == "precious")
  }
  @Test func `listings are sorted and tell files from directories`() throws {
    directory.write("b", "")
    directory.write("a", "")
    directory.write("d/x", "")
    makeSymbolicLink(directory("c"), to: "a")
    makeSymbolicLink(directory("e"), to: "nowhere")
    #expect(try Directory.names(in: directory.path) == ["a", "b", "c", "d", "e"])
    #expect(try Directory.files(in: directory.path) == ["a", "b", "c"])
    #expect(Directory.kind(of: directory("d")) == .directory && Directory.kind(of: directory("e")) == nil)
  }
}
