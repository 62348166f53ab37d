import Engines
import JSON

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// All commands in one executable, chosen by the name it is called by: `trtllm-build …`, as a link to it, or
/// `drydock build …`.
public enum MultiCall {
  private static let commands: [any DrydockCommand.Type] = [
    ConvertCommand.self, BuildCommand.self, PruneCommand.self, RefitCommand.self, RunCommand.self, ServeCommand.self, InspectCommand.self,
  ]
  private static let prefix = "trtllm-"

  /// Runs the command that the program is called by, or that its first argument names; exit codes as ``CommandRunner`` has them.
  public static func main() async -> Never {
    let called = CommandLine.arguments.first?.split(separator: "/").last.map(String.init)
    let given = Array(CommandLine.arguments.dropFirst())
    if let command = called.flatMap(command(named:)) { await CommandRunner.main(command, given) }
    switch given.first {
    case "help" where given.count > 1:
      await CommandRunner.main(known(given[1]), ["--help"])
    case "--help", "-h", "help":
      print(usage)
      exit(0)
    case "--version":
      print(Tool.name)
      exit(0)
    case nil:
      CommandRunner.printError(usage)
      exit(2)
    case let first?: await CommandRunner.main(known(first), Array(given.dropFirst()))
    }
  }

  /// The command of that name; there must be one.
  private static func known(_ name: String) -> any DrydockCommand.Type {
    if let command = command(named: name) { return command }
    let names = commands.compactMap { $0.configuration.commandName?.dropFirst(prefix.count) }
    let word = name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
    let nearest = nearestName(to: word, among: names.map(String.init)).map { " Did you mean '\($0)'?" } ?? ""
    CommandRunner.printError("drydock: error: unknown command '\(name)'.\(nearest) Known: \(names.joined(separator: ", ")).")
    exit(2)
  }

  /// `trtllm-build` of `build` and `trtllm-build`.
  private static func command(named name: String) -> (any DrydockCommand.Type)? {
    commands.first { [name, prefix + name].contains($0.configuration.commandName) }
  }

  private static let usage = """
    Drydock: the life cycle of LLM engines.

    usage: drydock COMMAND ...    or, by its own name: trtllm-COMMAND ...

      convert  a model (Hugging Face directory, GGUF file) to a TensorRT-LLM checkpoint
      build    an engine from a checkpoint or a model
      refit    new weights into an engine, from a model, a checkpoint or LoRA adapters
      prune    the weights out of a checkpoint
      run      an engine or a model on a prompt
      serve    an engine or a model over HTTP, as OpenAI's API
      inspect  what is in an engine

    'drydock help COMMAND' and 'drydock COMMAND --help' say more.
    """
}
