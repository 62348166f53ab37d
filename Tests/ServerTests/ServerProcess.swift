import Foundation
import JSON
import SystemPackage
import TestSupport
import Testing

/// `trtllm-serve` as a process of its own.
final class ServerProcess: Sendable {
  let port: Int
  let log: FilePath
  let identifier: Int32
  private let process: Process

  /// Starts the server and waits until it listens.
  /// - Parameters:
  ///   - workingDirectory: Where it is started.
  ///   - name: The name of its model; nil: what it takes by itself.
  init(
    _ engine: FilePath, in directory: TemporaryDirectory, from workingDirectory: FilePath? = nil, named name: String? = "m", _ more: String...
  ) throws {
    log = directory("server-\(UUID().uuidString).log")
    directory.write(log.lastComponent?.string ?? "server.log", "")
    process = Process()
    process.executableURL = URL(filePath: try Self.command("serve").string)
    process.arguments = [engine.string, "--port", "0", "--drain_seconds", "5"] + (name.map { ["--served_model_name", $0] } ?? []) + more
    if let workingDirectory { process.currentDirectoryURL = URL(filePath: workingDirectory.string) }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle(forWritingAtPath: log.string)
    try process.run()
    identifier = process.processIdentifier
    for _ in 0..<600 {
      if let found = (text(log) ?? "").firstMatch(of: /url=http:\/\/[^:]+:(\d+)/), let port = Int(found.1) {
        self.port = port
        return
      }
      guard process.isRunning else { break }
      usleep(50_000)
    }
    process.terminate()
    throw Failure("the server does not listen: \(text(log) ?? "")")
  }
  deinit { if process.isRunning { kill(identifier, SIGKILL) } }

  struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }

  static func command(_ name: String) throws -> FilePath {
    try #require(Execution.command("trtllm-\(name)"), "trtllm-\(name) stands beside the tests")
  }

  var isRunning: Bool { process.isRunning }
  /// Its exit code, once it has ended.
  var status: Int32 {
    process.waitUntilExit()
    return process.terminationStatus
  }
  /// Ends it at once, as a crash would.
  func crash() {
    kill(identifier, SIGKILL)
    process.waitUntilExit()
  }
  /// - Returns: Its exit code.
  func stop() -> Int32 {
    process.terminate()
    process.waitUntilExit()
    return process.terminationStatus
  }

  // MARK: What the system says

  /// Counted entry by entry: there may be ten thousand.
  var descriptorCount: Int {
    guard let directory = unsafe opendir("/proc/\(identifier)/fd") else { return -1 }
    defer { unsafe closedir(directory) }
    var count = -2  // . and ..
    while unsafe readdir(directory) != nil { count += 1 }
    return count
  }
  /// Memory that is no file's, in bytes.
  var memory: Int {
    let line = (text(FilePath("/proc/\(identifier)/status")) ?? "").split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
    return (line?.split(separator: " ").dropLast().last.flatMap { Int($0) } ?? 0) * 1024
  }

  // MARK: Requests

  /// Status and body of a request on a connection of its own.
  func send(_ method: String, _ path: String, _ body: JSONValue? = nil, key: String? = nil) throws -> (status: Int, body: String) {
    let socket = try Socket(port: port)
    let data = body?.serialized() ?? ""
    socket.write(
      "\(method) \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: \(data.utf8.count)\r\n"
        + (key.map { "Authorization: Bearer \($0)\r\n" } ?? "") + "\r\n" + data)
    let reply = socket.readToEnd(seconds: 30)
    let parts = reply.split(separator: "\r\n\r\n", maxSplits: 1)
    guard let head = parts.first, let status = head.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
      throw Failure("\(method) \(path): no reply: '\(reply)'")
    }
    return (status, parts.count > 1 ? String(parts[1]) : "")
  }

  /// The greedy continuation of a prompt, and the weights that chose it.
  func complete(_ prompt: String, tokens: Int = 24) throws -> (text: String, version: String) {
    let reply = try send(
      "POST", "/v1/completions",
      ["model": "m", "prompt": .string(prompt), "max_tokens": .int(tokens), "temperature": 0, "ignore_eos": true])
    guard reply.status == 200, let json = try? JSONValue(parsing: reply.body), let text = json["choices"]?.array?.first?["text"]?.string
    else { throw Failure("\(prompt): \(reply)") }
    return (text, json["system_fingerprint"]?.string ?? "")
  }
}

/// Engines made by the commands.
enum Engines {
  static func tiny(in directory: TemporaryDirectory, _ options: String...) throws -> FilePath {
    let (checkpoint, engine) = (directory("checkpoint"), directory("engine"))
    for (command, arguments) in [
      ("convert", ["--model_dir", project("Models/tiny").string, "--output_dir", checkpoint.string, "--dtype", "float32"]),
      ("build", ["--checkpoint_dir", checkpoint.string, "--output_dir", engine.string] + options),
    ] {
      let done = try Execution.run(try ServerProcess.command(command), arguments)
      try #require(done.status == 0, "\(done.errors)")
    }
    return engine
  }
  static func project(_ path: String) -> FilePath {
    FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent().appending(path)
  }
}
