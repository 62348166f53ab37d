import SystemPackage
import TestSupport
import Testing

/// What Python's safetensors makes of our files: a reader that nobody here wrote.
@Suite(.serialized, .enabled(if: Extras.python != nil, Extras.noPython)) struct PythonTests {
  private func python(_ script: String, _ arguments: [String]) throws -> Execution {
    let directory = TemporaryDirectory()
    let path = directory.write("check.py", script)
    return try Execution.run(try #require(Extras.python), [path.string] + arguments)
  }

  /// Rebuilds every rank's tensors from the Hugging Face file with numpy, by the rules of the format, and compares.
  @Test(arguments: [(1, 1), (2, 1), (1, 2), (4, 1)])
  func `a converted checkpoint holds what the format says`(_ tensor: Int, _ pipeline: Int) throws {
    let d = TemporaryDirectory()
    try Command.convert.succeed(
      "--model_dir", Project.at("Models/tiny").string, "--output_dir", d("ck").string, "--dtype", "float32", "--tp_size",
      "\(tensor)", "--pp_size", "\(pipeline)")
    let result = try python(Self.checkpointScript, [Project.at("Models/tiny").string, d("ck").string])
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.contains("compared \(tensor * pipeline) rank(s)"), "\(result.output)")
  }

  @Test func `an engine opens as safetensors, and its panels are the weights`() throws {
    let d = TemporaryDirectory()
    try Command.convert.succeed("--model_dir", Project.at("Models/tiny").string, "--output_dir", d("ck").string, "--dtype", "float32")
    try Command.build.succeed("--checkpoint_dir", d("ck").string, "--output_dir", d("engine").string)
    let result = try python(Self.engineScript, [d("ck").string, d("engine").string])
    #expect(result.status == 0, "\(result.errors)")
  }

  private static let checkpointScript = """
    import json, sys
    import numpy as np
    from safetensors.numpy import load_file
    source, target = sys.argv[1:]
    hf = load_file(source + "/model.safetensors")
    c = json.load(open(target + "/config.json"))
    tp, pp = c["mapping"]["tp_size"], c["mapping"]["pp_size"]
    H, D, nq, nkv = c["hidden_size"], c["head_size"], c["num_attention_heads"], c["num_key_value_heads"]
    L, V = c["num_hidden_layers"], c["vocab_size"]
    def heads(w, n):  # repeated so that every rank has one
        w = w.reshape(n, D, H)
        return np.repeat(w, max(1, tp // n), axis=0)
    def rows(w, r): return np.split(w, tp, axis=0)[r]
    def cols(w, r): return np.split(w, tp, axis=1)[r]
    compared = 0
    for rank in range(tp * pp):
        t, s = rank % tp, rank // tp
        mine = load_file(f"{target}/rank{rank}.safetensors")
        want = {}
        per, extra = divmod(L, pp)
        first = s * per + min(s, extra)
        for i in range(per + (s < extra)):
            a, b = f"model.layers.{first + i}.", f"transformer.layers.{i}."
            q, k, v = (hf[a + f"self_attn.{x}_proj.weight"] for x in "qkv")
            want[b + "attention.qkv.weight"] = np.concatenate(
                [rows(heads(q, nq), t).reshape(-1, H), rows(heads(k, nkv), t).reshape(-1, H), rows(heads(v, nkv), t).reshape(-1, H)])
            want[b + "attention.dense.weight"] = cols(hf[a + "self_attn.o_proj.weight"], t)
            want[b + "mlp.fc.weight"] = rows(hf[a + "mlp.gate_proj.weight"], t)
            want[b + "mlp.gate.weight"] = rows(hf[a + "mlp.up_proj.weight"], t)
            want[b + "mlp.proj.weight"] = cols(hf[a + "mlp.down_proj.weight"], t)
            want[b + "input_layernorm.weight"] = hf[a + "input_layernorm.weight"]
            want[b + "post_layernorm.weight"] = hf[a + "post_attention_layernorm.weight"]
        if s == 0: want["transformer.vocab_embedding.weight"] = hf["model.embed_tokens.weight"]
        if s == pp - 1:
            want["transformer.ln_f.weight"] = hf["model.norm.weight"]
            head = hf["model.embed_tokens.weight"]
            want["lm_head.weight"] = rows(np.pad(head, ((0, -V % tp), (0, 0))), t)
        assert set(mine) == set(want), set(mine) ^ set(want)
        for name in want:
            assert mine[name].dtype == np.float32 and mine[name].shape == want[name].shape, name
            assert (mine[name] == want[name]).all(), name
        compared += 1
    print("compared", compared, "rank(s)")
    """

  private static let engineScript = """
    import json, sys
    import numpy as np
    from safetensors import safe_open
    from safetensors.numpy import load_file
    checkpoint, engine = sys.argv[1:]
    ck = load_file(checkpoint + "/rank0.safetensors")
    with safe_open(engine + "/rank0.engine", "numpy") as f:
        plan = json.loads(f.metadata()["plan"])
        held = {name: f.get_tensor(name) for name in f.keys()}
    def take(recipe):
        if "take" in recipe: return ck[recipe["take"]]
        if "concatenate" in recipe: return np.concatenate([take(r) for r in recipe["concatenate"]])
        return take(recipe["of"])
    assert plan["weights"], "a plan names its weights"
    for name, weight in plan["weights"].items():
        want = take(weight["recipe"])
        got = held[name]
        if weight["layout"] == "panel16":
            got = got.transpose(0, 2, 1).reshape(-1, want.shape[1])[: want.shape[0]]
        assert got.shape == want.shape and (got == want).all(), name
    print("compared", len(plan["weights"]), "weights")
    """
}
