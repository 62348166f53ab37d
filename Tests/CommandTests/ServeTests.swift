import SystemPackage
import TestSupport
import Testing

/// `trtllm-serve` as a process, spoken to by the official openai client.
@Suite(.serialized, .enabled(if: Extras.python != nil, Extras.noPython)) struct ServeTests {
  /// Serves an engine while the check scripts run against it; the server must end cleanly on SIGTERM.
  private func serve(_ engine: FilePath, golden: FilePath, _ set: String) throws {
    let directory = TemporaryDirectory()
    let script = directory.write("serve.py", Self.script)
    let result = try Execution.run(
      try #require(Extras.python),
      [script.string, try Command.serve.executable.string, engine.string, Project.at("Scripts/reference").string, golden.string, set])
    #expect(result.status == 0, "\(set): \(result.output)\(result.errors)")
  }

  @Test(arguments: ["float32", "bfloat16"])
  func `the tiny model is served as it is run, base and adapted`(_ dtype: String) throws {
    let engines = Engines()
    let golden = Project.at("Models/tiny/expected.json")
    let (base, adapted) = try engines.make(
      Project.at("Models/tiny"), adapter: Project.at("Models/tiny-lora"), dtype: dtype, tensor: 1, pipeline: 1)
    try serve(base, golden: golden, "base_\(dtype)")
    try serve(adapted, golden: golden, "lora_\(dtype)")
  }

  @Test func `an engine of several ranks is served too`() throws {
    let engines = Engines()
    let (base, _) = try engines.make(
      Project.at("Models/tiny"), adapter: Project.at("Models/tiny-lora"), dtype: "float32", tensor: 2, pipeline: 2)
    try serve(base, golden: Project.at("Models/tiny/expected.json"), "base_float32")
  }

  @Test(.enabled(if: Extras.model != nil, Extras.noModel))
  func `SmolLM2 is served as it is run, base and adapted`() throws {
    let engines = Engines()
    let golden = Project.at("Tests/Golden/smollm2-135m-instruct.json")
    let (base, adapted) = try engines.make(
      try #require(Extras.model), adapter: Project.at("Models/salty-lora"), dtype: "bfloat16", tensor: 1, pipeline: 1)
    try serve(base, golden: golden, "base_bfloat16")
    try serve(adapted, golden: golden, "lora_bfloat16")
  }

  private static let script = """
    import os, signal, socket, subprocess, sys, time, urllib.request
    serve, engine, scripts, golden, which = sys.argv[1:]
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen([serve, engine, "--port", str(port), "--served_model_name", "drydock-test", "--log_level", "warning"])
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
                break
            except OSError:
                assert server.poll() is None, "the server ended"
                time.sleep(0.1)
        url = f"http://127.0.0.1:{port}/v1"
        subprocess.run([sys.executable, scripts + "/openai_client_check.py", url, "drydock-test"], check=True)
        subprocess.run([sys.executable, scripts + "/serve_golden_check.py", url, "drydock-test", golden, which], check=True)
        taken = subprocess.run([serve, engine, "--port", str(port)], capture_output=True, text=True)
        assert taken.returncode == 1 and str(port) in taken.stderr, taken
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0, server.returncode
    finally:
        server.kill()
    """
}
