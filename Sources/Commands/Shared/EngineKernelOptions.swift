import ArgumentParser
import Execution

/// Flags for code that an engine carries.
struct EngineKernelOptions: ParsableArguments {
  @Flag(
    name: .customLong("ignore_engine_kernels"),
    help: "Do not run the compiled kernels that an engine for a GPU carries: compile them here. For engines from people you would run no program of.")
  var ignores = false

  func apply(to options: inout ExecutorOptions) { options.usesArtifacts = !ignores }
}
