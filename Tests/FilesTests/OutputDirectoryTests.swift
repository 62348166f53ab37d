import Files
import Foundation
import SystemPackage
import TestSupport
import Testing

struct OutputDirectoryTests {
  let directory = TemporaryDirectory()

  func output(
    _ target: FilePath, as kind: OutputKind = .checkpoint, inputs: [FilePath] = [], replaceable: FilePath? = nil
  ) throws(FileError) -> OutputDirectory {
    try OutputDirectory.begin(target, as: kind, notOverlapping: inputs, replaceable: replaceable)
  }
  func refusal(_ target: FilePath, as kind: OutputKind = .checkpoint, inputs: [FilePath] = [], replaceable: FilePath? = nil) -> String? {
    do throws(FileError) { try output(target, as: kind, inputs: inputs, replaceable: replaceable).abandon() } catch { return error.description }
    return nil
  }
  /// An old checkpoint.
  func makeOld(_ name: String, _ text: String = "old") {
    directory.write("\(name)/config.json", text)
    directory.write("\(name)/rank0.safetensors", "old")
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
    for name in ["config.json", "rank0.safetensors", "rank1.safetensors", "README.md", "rank1_managed_weights.safetensors", "tokenizer.json"] {
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
    makeOld("nested")
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
  @Test func `only an old output of the same kind is replaced, and what is there is said`() {
    /// Config, other files, and what is said of the directory where it is replaced by a checkpoint and by an engine.
    let cases: [(name: String, files: [String], checkpoint: String?, engine: String?)] = [
      ("checkpoint", ["config.json", "rank0.safetensors", "rank1.safetensors", "notes.txt"], nil, "is a checkpoint (rank0.safetensors)"),
      ("engine", ["config.json", "rank0.engine", "lineage.json"], "is an engine (rank0.engine)", nil),
      ("part of an engine", ["config.json", "rank3.engine", "share.json"], "is an engine (rank3.engine)", nil),
      ("both", ["config.json", "rank0.engine", "rank0.safetensors"], "holds files of an engine", "and of a checkpoint (rank0.safetensors)"),
      ("configuration", ["config.json"], "has no rank0.safetensors", "has no rank0.engine"),
      ("downloading", ["config.json", "tokenizer.json", "generation_config.json"], "has no rank0.safetensors", "has no rank0.engine"),
      ("no configuration", ["rank0.safetensors"], "has no config.json", "is a checkpoint"),
      ("names alike", ["config.json", "rank.safetensors", "ranks.engine", "rank0.engine.bak", "rank٣.engine"], "'rank.safetensors'", "'rank.safetensors'"),
      ("model", ["config.json", "model.safetensors"], "it is a model", "it is a model"),
    ]
    for one in cases {
      for file in one.files { directory.write("\(one.name)/\(file)", file.hasPrefix("rank3") ? Self.mark : "{}") }
      for (kind, said) in [(OutputKind.checkpoint, one.checkpoint), (.engine, one.engine)] {
        let refusal = refusal(directory(one.name), as: kind)
        #expect((refusal == nil) == (said == nil), "\(one.name): \(refusal ?? "replaced")")
        if let said { #expect(refusal?.contains(said) == true && refusal?.contains("Choose another output") == true, "\(refusal ?? "")") }
      }
    }
    // The other program of the same name writes files of the same names.
    directory.write("theirs/config.json", "{}")
    directory.write("theirs/rank0.engine", "ftrt and so on")
    #expect(refusal(directory("theirs"), as: .engine)?.contains("is an engine of TensorRT-LLM (rank0.engine)") == true)
    // Other libraries call their files so, too; ours have a mark, and an old one without it has its lineage.
    for (name, files, isOurs) in [
      ("marked", ["rank0.engine": Self.mark, "rank1.engine": Self.mark], true), ("first versions", ["rank0.engine": Self.mark.replacing("\"root\":\"0\",", with: "")], true),
      ("damaged", ["rank0.engine": "", "lineage.json": "{}"], true), ("other", ["rank0.engine": "anything"], false),
      ("empty", ["rank0.engine": ""], false), ("one of two", ["rank0.engine": Self.mark, "rank1.engine": "anything"], false),
      ("theirs beside a lineage", ["rank0.engine": "ptrt", "lineage.json": "{}"], false),
      ("safetensors", ["rank0.engine": "\u{40}\0\0\0\0\0\0\0{\"__metadata__\":{\"format\":\"pt\"}}"], false),
    ] {
      directory.write("marks/\(name)/config.json", "{}")
      for (file, text) in files { directory.write("marks/\(name)/\(file)", text) }
      let said = refusal(directory("marks/\(name)"), as: .engine)
      #expect((said == nil) == isOurs, "\(name): \(said ?? "replaced")")
      if let said { #expect(said.contains(".engine)") && said.contains("does not take its place"), "\(said)") }
    }
  }
  /// How a rank file of an engine begins.
  private static let mark = "\u{40}\0\0\0\0\0\0\0{\"__metadata__\":{\"root\":\"0\",\"format\":\"drydock-engine\",\"plan\":\"{}\"}}"
  @Test func `names of rank files are those with digits alone`() {
    for (name, number) in [
      ("rank0.engine", 0), ("rank12.engine", 12), ("rank007.engine", 7), ("rank99999999999999999999.engine", .max),
      ("rank.engine", nil), ("rank-1.engine", nil), ("rank+1.engine", nil), ("rank٣.engine", nil), ("rank1.engine.bak", nil), ("xrank1.engine", nil), ("rank1engine", nil),
      ("engine", nil),
    ] as [(String, Int?)] {
      #expect(RankFile.number(name, ".engine") == number, "\(name)")
    }
    #expect(RankFile.first(in: ["a", "rank2.safetensors", "rank3.engine"], ".engine") == "rank3.engine")
    #expect(OutputDirectory.isCheckpointOrEngineFile("rank1_managed_weights.safetensors") && !OutputDirectory.isCheckpointOrEngineFile("rank1x.safetensors"))
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
    makeOld("in")
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
    try first.write("rank0.safetensors", text: "1")
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
    makeOld(".out.drydock-old")
    try output(directory("out")).abandon()
    #expect(text(directory("out/config.json")) == "old")
    makeOld(".out.drydock-old", "older")
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
    makeOld("out")
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
