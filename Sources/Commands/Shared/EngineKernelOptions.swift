import ArgumentParser
import Engines
import Execution

/// Flags for code that an engine carries.
struct EngineKernelOptions: ParsableArguments {
  @Flag(
    name: .customLong("ignore_engine_kernels"),
    help: "Do not run the compiled kernels that an engine for a GPU carries: compile them here. For engines from people you would run no program of.")
  var ignores = false

  /// That the flag makes no difference, where it makes none.
  func warnings(for engine: EngineDirectory) -> [String] {
    ignores && engine.ranks.allSatisfy(\.plan.artifacts.isEmpty) ? ["--ignore_engine_kernels makes no difference: this engine carries no kernels"] : []
  }

  func apply(to options: inout ExecutorOptions) { options.usesArtifacts = !ignores }
}
