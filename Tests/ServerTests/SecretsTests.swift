import Foundation
import SystemPackage
import TestSupport
import Testing

/// No command says a key, at any level, whatever happens.
@Suite(.serialized, .timeLimit(.minutes(8))) struct SecretsTests {
  static let (key, adminKey, wrongKey) = ("sk-4f9c-api-Zq81", "adm-77d1-Kw33", "sk-of-another-server-Pp50")
  private static let texts = [key, adminKey, wrongKey]
  enum Way: String, CaseIterable { case flags, files, environment }

  private func check(_ output: String, _ what: String) {
    for text in Self.texts { #expect(!output.contains(text), "\(what) shows \(text): \(output.prefix(2000))") }
  }

  /// Arguments and environment that give both keys.
  private func keys(_ way: Way, in directory: TemporaryDirectory) -> (arguments: [String], environment: [String: String]) {
    switch way {
    case .flags: return (["--api_key", Self.key, "--admin_key=\(Self.adminKey)"], [:])
    case .environment: return ([], ["DRYDOCK_API_KEY": Self.key, "DRYDOCK_ADMIN_KEY": Self.adminKey])
    case .files:
      directory.write("api", Self.key + "\n")
      directory.write("admin", Self.adminKey)
      return (["--api_key_file", directory("api").string, "--admin_key_file", directory("admin").string], [:])
    }
  }

  private final class Started {
    let process = Process()
    let output: FilePath
    init(_ arguments: [String], _ environment: [String: String], _ directory: TemporaryDirectory) throws {
      let name = "output-\(UUID().uuidString)"
      directory.write(name, "")
      output = directory(name)
      process.executableURL = URL(filePath: try ServerProcess.command("serve").string)
      process.arguments = arguments
      process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
      let file = FileHandle(forWritingAtPath: output.string)
      process.standardInput = FileHandle.nullDevice
      process.standardOutput = file
      process.standardError = file
      try process.run()
    }
    deinit { if process.isRunning { process.terminate() } }
    var text: String { (try? String(contentsOfFile: output.string, encoding: .utf8)) ?? "" }
  }

  /// One engine for all of them; it stays as it is.
  private static let made = Result { () throws -> (TemporaryDirectory, FilePath) in
    let directory = TemporaryDirectory()
    return (directory, try Engines.tiny(in: directory))
  }

  @Test("a server says no key, at start, while it answers and at its end", arguments: Way.allCases, ["error", "warning", "info", "verbose", "debug", "trace"])
  func server(way: Way, level: String) throws {
    let directory = TemporaryDirectory()
    let engine = try Self.made.get().1
    makeDirectory(directory("weights"))
    let (arguments, environment) = keys(way, in: directory)
    let port = try Socket.freePort()
    let started = try Started(
      [engine.string, "--port", "\(port)", "--served_model_name", "m", "--weights_root", directory("weights").string, "--log_level", level]
        + arguments, environment, directory)
    func send(_ request: String) throws -> String {
      let socket = try Socket(port: port)
      socket.write(request)
      return socket.readToEnd(seconds: 20)
    }
    func get(_ path: String, _ authorization: String?) throws -> String {
      try send("GET \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + (authorization.map { "Authorization: \($0)\r\n" } ?? "") + "\r\n")
    }
    for _ in 0..<400 where (try? get("/health", nil).hasPrefix("HTTP/1.1 200")) != true { usleep(50_000) }
    #expect(try get("/v1/models", "Bearer \(Self.key)").hasPrefix("HTTP/1.1 200"))
    #expect(try get("/admin/v1/weights", "Bearer \(Self.adminKey)").hasPrefix("HTTP/1.1 200"))
    var replies = ""
    for authorization in ["Bearer \(Self.wrongKey)", Self.key, "Basic \(Self.key)", "Bearer  \(Self.key)", "Bearer \(Self.key)x", nil] {
      let reply = try get("/v1/models", authorization)
      #expect(reply.hasPrefix("HTTP/1.1 401"), "\(reply)")
      replies += reply
      replies += try get("/admin/v1/weights", authorization)
    }
    replies += try get("/v1/models?api_key=\(Self.key)", nil)
    _ = try get("/v1/models?api_key=\(Self.key)&key=\(Self.wrongKey)", "Bearer \(Self.key)")
    // A client may write a key anywhere: the log says none of them as it stands.
    for key in [Self.key, Self.adminKey] {
      _ = try get("/v1/\(key)", "Bearer \(Self.key)")
      _ = try get("/v1/models/x\(key)\(key)y", nil)
      _ = try get("/admin/v1/\(key)", "Bearer \(Self.adminKey)")
      let encoded = key.utf8.map { "%" + String($0, radix: 16) }.joined()
      _ = try get("/v1/models/\(encoded)", "Bearer \(Self.key)")
      _ = try get("/v1/models/\(key.replacing("-", with: "%2D"))/\(encoded.replacing("%", with: "%25"))", "Bearer \(Self.key)")
      _ = try send("GET /health HTTP/1.1\r\nHost: \(key)\r\nX-Request-Id: me-\(key)\r\n\(key): x\r\nConnection: close\r\n\r\n")
      _ = try send("\(key) /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      let body =
        "{\"model\": \"m\", \"prompt\": \"a\", \"max_tokens\": 1, \"\(key)\": 1, \"\(String(repeating: "x", count: 55))\(key)\": 1, \"\\n2026-01-01T00:00:00+0000 critical trtllm-serve: forged\": 1, \"user\": \"\(key)\"}"
      for path in ["/v1/completions", "/tokenize", "/admin/v1/weights"] {
        _ = try send(
          "POST \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer \(path.hasPrefix("/admin") ? Self.adminKey : Self.key)\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        )
      }
    }
    replies += try send("GET /health HTTP/1.1\r\nAuthorization: Bearer \(Self.key)\r\nbad header\r\n\r\n")
    replies += try send(
      "POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer \(Self.key)\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"model\":")
    check(replies, "a reply")
    // The system shows a process's first environment to its user; arguments, to everybody.
    check(String(decoding: contents(FilePath("/proc/\(started.process.processIdentifier)/environ")) ?? [], as: UTF8.self), "the environment")
    started.process.terminate()
    started.process.waitUntilExit()
    #expect(started.process.terminationStatus == 0)
    check(started.text, "the log at \(level)")
    for key in [Self.key, Self.adminKey] {
      // What is left of one that is cut, and what stands there when all but its signs are encoded, or all of it.
      for part in [String(key.prefix(6)), key.replacing("-", with: "%2D"), key.utf8.map { "%" + String($0, radix: 16) }.joined()] {
        #expect(!started.text.contains(part), "the log at \(level) shows \(part)")
      }
    }
    #expect(!started.text.contains("\n2026-01-01T00:00:00"), "a client begins a line of the log at \(level)")
    if level == "trace" { #expect(started.text.contains("listening"), "\(started.text.prefix(500))") }
  }

  @Test(
    "arguments that cannot be read are told without the keys in them",
    arguments: [
      ["--api_key", key, "--nonsense"], ["--api-key", key], ["--api_kye", key], ["--apikey=\(key)"], ["-api_key", key], ["--api_key\(key)"],
      ["--admin_key", adminKey], ["--admin-key=\(adminKey)"], ["--api_key", key, "--port", "x"], ["--api_key", key, "another"],
      ["--api_key", key, "--api_key_file", "f"], ["--api_key", key, "--api_key", adminKey, "--log_level", "loud"], ["--key", key], ["another", "--adminkey", adminKey],
      ["--api_key", "-\(key)", "--port", "99999"], ["--api_key_file", "/nowhere/at/all"], ["--secret", key, "--password=\(adminKey)"],
    ])
  func refused(arguments: [String]) throws {
    for command in ["serve", "run", "build", "convert", "refit", "prune"] {
      for level in ["info", "trace"] {
        let done = try Execution.run(
          try ServerProcess.command(command), ["/no/engine"] + arguments + ["--log_level", level],
          environment: ["DRYDOCK_API_KEY": Self.key, "DRYDOCK_ADMIN_KEY": Self.adminKey])
        #expect(done.status != 0)
        check(done.output + done.errors, "\(command) \(arguments)")
      }
    }
  }

  @Test func `an empty variable, one key for both, and a key with a line's end are refused`() throws {
    let serve = try ServerProcess.command("serve")
    for name in ["DRYDOCK_API_KEY", "DRYDOCK_ADMIN_KEY"] {
      let empty = try Execution.run(serve, ["/no/engine"], environment: [name: ""])
      #expect(empty.status == 2 && empty.errors.contains("\(name) is set and empty"), "\(empty.errors)")
    }
    let same = try Execution.run(
      serve, ["/no/engine", "--weights_root", "/tmp"], environment: ["DRYDOCK_API_KEY": Self.key, "DRYDOCK_ADMIN_KEY": Self.key])
    #expect(same.status == 2 && same.errors.contains("every client could change the weights"), "\(same.errors)")
    check(same.errors, "the same key")
    for (arguments, environment) in [(["--api_key", "\(Self.key)\n\(Self.adminKey)"], [:]), ([], ["DRYDOCK_API_KEY": "\(Self.key)\n\(Self.adminKey)"])] {
      let cut = try Execution.run(serve, ["/no/engine"] + arguments, environment: environment)
      #expect(cut.status != 0 && cut.errors.contains("printable ASCII characters"), "\(cut.errors)")
      check(cut.errors, "a key with a line's end")
    }
  }

  @Test func `a flag that follows a key's flag is no key`() throws {
    for flag in ["--host=0.0.0.0", "--port", "--trust_remote_code"] {
      let done = try Execution.run(try ServerProcess.command("serve"), ["/no/engine", "--api_key", flag])
      #expect(done.status == 2 && done.errors.contains("--api_key is followed by the flag"), "\(done.errors)")
    }
  }

  @Test func `a key file must hold one key, and what it holds is not said`() throws {
    let directory = TemporaryDirectory()
    for (name, content) in [("empty", ""), ("two", "\(Self.key)\n\(Self.adminKey)\n"), ("spaced", "\(Self.key) \(Self.adminKey)"), ("binary", "\(Self.key)\u{7F}")] {
      directory.write(name, content)
      let done = try Execution.run(try ServerProcess.command("serve"), ["/no/engine", "--api_key_file", directory(name).string])
      #expect(done.status == 1, "\(done.errors)")
      #expect(done.errors.contains("must hold the key in one line"))
      check(done.output + done.errors, name)
    }
  }

  @Test("one rule for a key, from wherever it comes", arguments: ["\(key) \(adminKey)", "\(key)\u{7F}", "schlüssel-\(key)", String(repeating: key, count: 400)])
  func form(text: String) throws {
    let directory = TemporaryDirectory()
    directory.write("file", text)
    let serve = try ServerProcess.command("serve")
    for (arguments, environment) in [
      (["--api_key", text], [:]), (["--api_key_file", directory("file").string], [:]), ([], ["DRYDOCK_API_KEY": text]),
    ] as [([String], [String: String])] {
      let done = try Execution.run(serve, ["/no/engine"] + arguments, environment: environment)
      #expect(done.status != 0 && done.errors.contains("must be at most 4096 printable ASCII characters without spaces"), "\(done.errors.prefix(300))")
      check(done.output + done.errors, "\(arguments.first ?? "environment")")
    }
  }

  @Test("a variable with another key than the one that counts is told", arguments: [Way.flags, .files])
  func otherVariable(way: Way) throws {
    let directory = TemporaryDirectory()
    let serve = try ServerProcess.command("serve")
    for (value, isTold) in [("another", true), (Self.key, false)] {
      let given = keys(way, in: directory).arguments.prefix(way == .flags ? 2 : 2)
      let done = try Execution.run(serve, ["/no/engine"] + given, environment: ["DRYDOCK_API_KEY": value])
      #expect(done.errors.contains("counts, not DRYDOCK_API_KEY, which is another key") == isTold, "\(done.errors)")
    }
  }
}
