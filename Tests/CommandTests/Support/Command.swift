import Foundation
import JSON
import SystemPackage
import TestSupport
import Testing

/// One of the commands, run as a process.
enum Command: String {
  case convert, build, prune, refit, run, serve, inspect

  var executable: FilePath {
    get throws { try #require(Execution.command("trtllm-\(rawValue)"), "trtllm-\(rawValue) stands beside the tests") }
  }

  func callAsFunction(_ arguments: String..., environment: [String: String]? = nil) throws -> Execution {
    try self(arguments, environment: environment)
  }
  func callAsFunction(_ arguments: [String], environment: [String: String]? = nil) throws -> Execution {
    var variables = ProcessInfo.processInfo.environment
    variables.merge(environment ?? [:]) { $1 }
    return try Execution.run(try executable, arguments, environment: variables)
  }

  /// Runs and requires success.
  @discardableResult
  func succeed(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) throws -> Execution {
    try succeed(arguments, sourceLocation: sourceLocation)
  }
  @discardableResult
  func succeed(_ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation) throws -> Execution {
    let execution = try self(arguments)
    try #require(
      execution.status == 0 && !execution.wasKilled, "trtllm-\(rawValue) \(arguments): \(execution.errors)", sourceLocation: sourceLocation)
    return execution
  }

  /// The objects that `trtllm-run --json` prints.
  static func generate(_ engine: FilePath, _ prompts: [String], chat: Bool, logprobs: Int = 10) throws -> [JSONValue] {
    guard !prompts.isEmpty else { return [] }
    var arguments = ["--engine_dir", engine.string, "--json", "--max_output_len", "48", "--logprobs", "\(logprobs)"]
    if chat { arguments.append("--chat") }
    for prompt in prompts { arguments.append("--input_text=" + prompt) }
    let output = try Command.run.succeed(arguments).output
    return try output.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
  }
}

/// Files of the project.
enum Project {
  static let root = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent().removingLastComponent()
  static func at(_ path: String) -> FilePath { root.appending(path) }
}
