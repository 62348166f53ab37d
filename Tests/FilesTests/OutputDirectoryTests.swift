import Files
import Foundation
import SystemPackage
import TestSupport
import Testing

struct OutputDirectoryTests {
  let directory = TemporaryDirectory()

  func output(_ target: FilePath, inputs: [FilePath] = [], replaceable: FilePath? = nil) throws(FileError) -> OutputDirectory {
    try OutputDirectory.begin(target, notOverlapping: inputs, replaceable: replaceable)
  }
  func refusal(_ target: FilePath, inputs: [FilePath] = [], replaceable: FilePath? = nil) -> String? {
    do throws(FileError) { try output(target, inputs: inputs, replaceable: replaceable).abandon() } catch { return error.description }
    return nil
  }

  @Test func `nothing is seen under the name before commit, everything after`() throws {
    let target = directory("out")
    let output = try output(target)
    try output.write("config.json", text: "{}")
    let file = try output.createFile("rank0.safetensors")
    try file.write(at: 3, [1, 2])
    #expect(names(in: target) == nil)
    try output.commit()
    #expect(names(in: target) == ["config.json", "rank0.safetensors"])
    #expect(contents(target.appending("rank0.safetensors")) == [0, 0, 0, 1, 2])
    #expect(names(in: directory.path) == ["out"])
  }
  @Test func `an output that is given up leaves nothing, not even the parents made for it`() throws {
    do {
      let output = try output(directory("a/b/out"))
      try output.write("config.json", text: "{}")
    }
    #expect(names(in: directory.path) == [])
    try output(directory("a/b/out")).commit()
    #expect(names(in: directory("a/b/out")) == [])
  }
  @Test func `an old output is replaced as a whole; strangers' files are kept`() throws {
    for name in ["config.json", "rank0.safetensors", "rank1.safetensors", "README.md", "rank1.engine", "tokenizer.json"] {
      directory.write("out/\(name)", "old")
    }
    makeSymbolicLink(directory("out/link"), to: "README.md")
    let output = try output(directory("out"))
    try output.write("config.json", text: "new")
    try output.write("rank0.safetensors", text: "new")
    try output.commit()
    #expect(names(in: directory("out")) == ["README.md", "config.json", "link", "rank0.safetensors"])
    #expect(text(directory("out/config.json")) == "new" && text(directory("out/link")) == "old")
    #expect(names(in: directory.path) == ["out"])
  }
  @Test func `what is not a checkpoint or an engine is never replaced`() {
    directory.write("precious/diary.txt", "dear")
    directory.write("nested/config.json", "{}")
    directory.write("nested/deep/file", "")
    directory.write("file", "")
    makeSymbolicLink(directory("link"), to: "precious")
    makeSymbolicLink(directory("dangling"), to: "nowhere")
    let before = snapshot(directory.path)
    for name in ["precious", "nested", "file", "link", "dangling"] { #expect(refusal(directory(name)) != nil, "\(name)") }
    for path in [".", "..", "/", "\(directory.path)/.", "\(directory.path)/x/.."] {
      #expect(refusal(FilePath(path)) != nil, "\(path)")
    }
    #expect(snapshot(directory.path) == before)
  }
  @Test func `an output equal to, inside or around an input is refused however it is spelled`() {
    directory.write("in/config.json", "{}")
    directory.write("around/config.json", "{}")
    directory.write("around/model.gguf", "")
    makeSymbolicLink(directory("alias"), to: "in")
    makeSymbolicLink(directory("home"), to: ".")
    let before = snapshot(directory.path)
    let input = directory("in")
    for name in ["in", "in/", "./in", "in/sub", "in/a/b/c", "alias/sub", "home/in", "home/home/in/x", "alias", "in/../in"] {
      #expect(refusal(directory(name), inputs: [input]) != nil, "\(name)")
      #expect(refusal(directory(name), inputs: [directory("alias")]) != nil, "\(name)")
    }
    #expect(refusal(directory("around"), inputs: [directory("around/model.gguf")]) != nil)
    #expect(refusal(directory("fine"), inputs: [input]) == nil)
    #expect(refusal(directory("in2"), inputs: [input]) == nil, "a name that merely begins alike is another directory")
    #expect(refusal(directory("fine"), inputs: [directory("absent")]) != nil)
    #expect(snapshot(directory.path) == before)
  }
  @Test func `in place, the input itself may be replaced, and is until then untouched`() throws {
    directory.write("in/config.json", "old")
    #expect(refusal(directory("in/sub"), inputs: [directory("in")], replaceable: directory("in")) != nil)
    let output = try output(directory("in"), inputs: [directory("in")], replaceable: directory("in"))
    try output.write("config.json", text: "new")
    #expect(text(directory("in/config.json")) == "old")
    try output.commit()
    #expect(text(directory("in/config.json")) == "new")
  }
  @Test func `two runs do not write to one output at a time`() throws {
    let first = try output(directory("out"))
    let error = #expect(throws: FileError.self) { try output(directory("out")) }
    #expect(error?.problem == .locked)
    try first.write("config.json", text: "1")
    try first.commit()
    try output(directory("out")).abandon()
    #expect(text(directory("out/config.json")) == "1")
  }
  @Test func `what a dead run left is cleared away`() throws {
    directory.write(".out.drydock-new/rank0.safetensors", "half")
    let output = try output(directory("out"))
    try output.write("config.json", text: "{}")
    try output.commit()
    #expect(names(in: directory("out")) == ["config.json"] && names(in: directory.path) == ["out"])
  }
  @Test func `what stands in the way of preparing is refused, and a link there is not followed`() {
    directory.write("victim/precious", "dear")
    makeSymbolicLink(directory(".out.drydock-new"), to: "victim")
    directory.write(".out2.drydock-new", "file")
    directory.write(".out3.drydock-new/sub/file", "deep")
    let before = snapshot(directory.path)
    for name in ["out", "out2", "out3"] { #expect(refusal(directory(name)) != nil, "\(name)") }
    #expect(snapshot(directory.path) == before)
  }
  @Test func `a run that died between two renames is undone`() throws {
    directory.write(".out.drydock-old/config.json", "old")
    try output(directory("out")).abandon()
    #expect(text(directory("out/config.json")) == "old")
    directory.write(".out.drydock-old/config.json", "older")
    try output(directory("out")).abandon()
    #expect(text(directory("out/config.json")) == "old" && names(in: directory.path) == ["out"])
  }
  @Test func `names that lead out of the output are refused`() throws {
    let output = try output(directory("out"))
    for name in ["../evil", "/tmp/evil", "a/b", "..", ".", ""] {
      #expect(throws: FileError.self, "\(name)") { try output.createFile(name) }
    }
    #expect(throws: FileError.self) {
      _ = try output.createFile("twice")
      _ = try output.createFile("twice")
    }
  }

  @Test func `what a dead run moved aside is put back, what a live run moved aside is not`() throws {
    directory.write("out/config.json", "old")
    let live = try output(directory("out"))
    #expect(FileManager.default.fileExists(atPath: directory(".out.drydock-new").string))
    try FileManager.default.moveItem(atPath: directory("out").string, toPath: directory(".out.drydock-old").string)
    let error = #expect(throws: FileError.self) { try OutputDirectory.recover(directory("out")) }
    #expect(error?.problem == .locked && names(in: directory("out")) == nil)
    live.abandon()
    try OutputDirectory.recover(directory("out"))
    #expect(text(directory("out/config.json")) == "old" && names(in: directory.path) == ["out"])
    try OutputDirectory.recover(directory("out"))
    try OutputDirectory.recover(directory("nothing"))
    #expect(names(in: directory.path) == ["out"])
  }

  @Test func `a lock that is given back within a moment is no other run`() throws {
    // A busy machine may run the other thread too late, but not each time.
    let wasTaken = try (0..<50).contains { _ in
      let first = try output(directory("out"))
      DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(30)) { first.abandon() }
      do { try output(directory("out")).commit() } catch let error as FileError where error.problem == .locked {
        first.abandon()
        return false
      }
      return true
    }
    #expect(wasTaken)
    let held = try output(directory("out"))
    #expect(refusal(directory("out"))?.contains("another run is writing") == true)
    held.abandon()
  }
}
