import Engines

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
  static let names = ["convert", "build", "prune", "refit", "run", "serve", "inspect"]

  public static func main() async -> Never {
    let called = CommandLine.arguments.first?.split(separator: "/").last.map(String.init)
    let given = Array(CommandLine.arguments.dropFirst())
    if let name = called.flatMap(command(named:)) { await run(name, given) }
    switch given.first {
    case "--help", "-h", "help":
      print(usage)
      exit(0)
    case "--version":
      print(Tool.name)
      exit(0)
    case nil:
      CommandRunner.printError(usage)
      exit(2)
    case let first?:
      guard let name = command(named: first) else {
        CommandRunner.printError("drydock: error: unknown command '\(first)'. Known: \(names.joined(separator: ", ")).")
        exit(2)
      }
      await run(name, Array(given.dropFirst()))
    }
  }

  /// `build` of `build` and `trtllm-build`.
  static func command(named name: String) -> String? {
    names.first { name == $0 || name == "trtllm-" + $0 }
  }

  private static func run(_ name: String, _ given: [String]) async -> Never {
    switch name {
    case "convert": await CommandRunner.main(ConvertCommand.self, given)
    case "build": await CommandRunner.main(BuildCommand.self, given)
    case "prune": await CommandRunner.main(PruneCommand.self, given)
    case "refit": await CommandRunner.main(RefitCommand.self, given)
    case "run": await CommandRunner.main(RunCommand.self, given)
    case "inspect": await CommandRunner.main(InspectCommand.self, given)
    default: await CommandRunner.main(ServeCommand.self, given)
    }
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

    'drydock COMMAND --help' says more.
    """
}
