import Foundation
import Testing

/// Remedies name options as the commands spell them, also those of the libraries, which have no options: each must be there.
@Suite struct NamedOptionTests {
  /// Those of other programs.
  private static let others: Set<String> = [
    // The parser's own, which help pages leave out.
    "--help-hidden", "--experimental-dump-help", "--generate-completion-script",
    "--merge", "--outtype", "--safe_serialization", "--use-dora", "--gpu-architecture", "--std", "--fmad", "--include-path", "--device-int128",
  ]

  /// The literals of the sources that people read, by file.
  private func literals() throws -> [(file: String, text: String)] {
    let sources = URL(fileURLWithPath: Project.at("Sources").string)
    var found: [(String, String)] = []
    let files = FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil)
    while let file = files?.nextObject() as? URL {
      guard file.pathExtension == "swift", !file.path.contains("/Executables/") else { continue }
      for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
        guard !line.drop(while: { $0 == " " }).hasPrefix("//") else { continue }
        for match in line.matches(of: /"((?:[^"\\]|\\.)*)"/) where match.1.contains("--") { found.append((file.lastPathComponent, String(match.1))) }
      }
    }
    return found
  }

  private func options() throws -> [String: Set<String>] {
    var options: [String: Set<String>] = [:]
    for command in [Command.convert, .build, .prune, .refit, .run, .serve, .inspect] {
      let help = try command.succeed("--help").output
      options[command.rawValue] = Set(help.matches(of: /--[A-Za-z][A-Za-z0-9_-]+/).map { String($0.0) })
    }
    return options
  }

  @Test func `every command line of the documents and of the workflows has options that there are`() throws {
    let options = try options()
    let root = URL(fileURLWithPath: Project.root.string)
    var files = [root.appendingPathComponent("README.md")]
    for folder in ["docs", "Examples", "Examples/workflows"] {
      files += try FileManager.default.contentsOfDirectory(at: root.appendingPathComponent(folder), includingPropertiesForKeys: nil)
        .filter { ["md", "yml"].contains($0.pathExtension) }
    }
    var lines = 0
    for file in files {
      // A line goes on behind a backslash.
      let text = try String(contentsOf: file, encoding: .utf8).replacing(/\\\n\s*/, with: " ")
      for match in text.matches(of: /(?:^|[\s`(])trtllm-(\w+)((?: [^\n|&;`)]*)?)/) where match.2.contains(" --") {
        lines += 1
        guard let known = options[String(match.1)] else { Issue.record("\(file.lastPathComponent): trtllm-\(match.1)"); continue }
        for option in match.2.matches(of: /[ ](--[a-z][a-z0-9_-]+)/) {
          #expect(known.contains(String(option.1)), "\(file.lastPathComponent): trtllm-\(match.1) has no \(option.1)")
        }
      }
    }
    #expect(lines > 25)
  }

  @Test func `every option that a message names is one, and of the command that it is said to be of`() throws {
    let options = try options()
    let all = options.values.reduce(Self.others) { $0.union($1) }
    let literals = try literals()
    #expect(literals.count > 100)
    for (file, text) in literals {
      for match in text.matches(of: /(?:^|[ '(\[`|])(--[a-z][a-z0-9_-]+)/) {
        #expect(all.contains(String(match.1)), "\(file): \(match.1) in \"\(text)\"")
      }
      // "trtllm-refit --lora_dir", "trtllm-refit takes it as --lora_dir"
      for match in text.matches(of: /trtllm-(\w+)(?: takes it as)? (--[a-z][a-z0-9_-]+)/) {
        guard let known = options[String(match.1)] else { Issue.record("\(file): trtllm-\(match.1)"); continue }
        #expect(known.contains(String(match.2)), "\(file): trtllm-\(match.1) has no \(match.2)")
      }
    }
  }
}
