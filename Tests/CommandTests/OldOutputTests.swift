import SystemPackage
import TestSupport
import Testing

/// What a command's output takes the place of: an old one of the same command, and nothing else that somebody made.
@Suite struct OldOutputTests {
  let d = TemporaryDirectory(inMemory: true)
  private func path(_ name: String) -> String { d(name).string }

  @Test func `engines, checkpoints and pruned checkpoints do not take each other's place`() throws {
    let tiny = Project.at("Models/tiny").string
    let commands: [String: (command: Command, arguments: [String], output: String)] = [
      "checkpoint": (.convert, ["--model_dir", tiny, "--dtype", "float32"], "--output_dir"),
      "engine": (.build, ["--model_dir", tiny, "--dtype", "float32", "--max_batch_size", "2"], "--output_dir"),
      "pruned": (.prune, ["--checkpoint_dir", path("input"), "--digests"], "--out_dir"),
      "refitted": (.refit, ["--engine_dir", path("input engine"), "--checkpoint_dir", path("input")], "--refit_engine_dir"),
      "restored": (.prune, ["--restore", path("input skeleton"), "--checkpoint_dir", path("input")], "--out_dir"),
    ]
    func run(_ name: String, to output: String) throws -> Execution {
      let (command, arguments, flag) = try #require(commands[name])
      return try command(arguments + [flag, path(output)])
    }
    #expect(try run("checkpoint", to: "input").status == 0 && run("engine", to: "input engine").status == 0)
    #expect(try run("pruned", to: "input skeleton").status == 0)
    let kinds = ["checkpoint": "whole", "engine": "engine", "pruned": "pruned", "refitted": "engine", "restored": "whole"]
    for old in ["checkpoint", "engine", "pruned"] {
      for new in kinds.keys.sorted() {
        remove(d("out"))
        #expect(try run(old, to: "out").status == 0)
        d.write("out/notes.txt", "mine")
        let before = snapshot(d("out"))
        if ["engine", "pruned", "refitted"].contains(new), let (command, arguments, flag) = commands[new] {
          // What would be refused is refused before, too.
          let dry = try command(arguments + [flag, path("out"), "--dry_run"])
          #expect(dry.status == (kinds[old] == kinds[new] ? 0 : 1), "\(new) over \(old): \(dry.errors)")
          #expect(snapshot(d("out")) == before)
        }
        let done = try run(new, to: "out")
        if kinds[old] == kinds[new] {
          #expect(done.status == 0, "\(new) over \(old): \(done.errors)")
          #expect(text(d("out/notes.txt")) == "mine")
        } else {
          #expect(done.status == 1 && done.errors.contains("does not take its place"), "\(new) over \(old): \(done.errors)")
          #expect(done.errors.split(separator: "\n").allSatisfy { $0.count <= 300 })
          #expect(snapshot(d("out")) == before)
        }
      }
    }
    #expect(names(in: d.path) == ["input", "input engine", "input skeleton", "out"])
  }

  @Test func `a directory that somebody is filling is left alone`() throws {
    d.write("out/config.json", "{}")
    d.write("out/tokenizer.json", "{}")
    let before = snapshot(d.path)
    let done = try Command.build("--model_dir", Project.at("Models/tiny").string, "--output_dir", path("out"))
    #expect(done.status == 1 && done.errors.contains("has no rank0.engine"), "\(done.errors)")
    #expect(snapshot(d.path) == before)
  }
}
