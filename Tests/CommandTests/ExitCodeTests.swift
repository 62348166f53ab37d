import SystemPackage
import TestSupport
import Testing

/// One rule for every path of every command: one that does not exist, or is of the wrong kind, is a failure (1), not wrong usage (2).
@Suite(.serialized) struct ExitCodeTests {
  @Test func `a path that does not exist is exit code 1, with the path, whichever flag names it`() throws {
    let d = TemporaryDirectory(inMemory: true)
    let (model, lora) = (Project.at("Models/tiny").string, Project.at("Models/tiny-lora").string)
    let (ck, e, out, no) = (d("ck").string, d("e").string, d("out").string, d("nowhere").string)
    try Command.convert.succeed("--model_dir", model, "--output_dir", ck, "--dtype", "float32")
    try Command.build.succeed("--checkpoint_dir", ck, "--output_dir", e)
    d.write("key", "secret-of-the-test")
    d.write("file", "x")
    // Nothing can be made below a file, whoever asks.
    let below = d("file/out").string
    let refit = ["--engine_dir", e, "--refit_engine_dir", out]
    let run = ["--input_text", "x", "--max_output_len", "1"]
    let serve = [e, "--port", "0"]
    let cases: [(Command, [String], named: String)] = [
      (.convert, ["--model_dir", no, "--output_dir", out], no), (.convert, ["--model_dir", model, "--output_dir", below], d("file").string),
      (.build, ["--checkpoint_dir", no, "--output_dir", out], no), (.build, ["--checkpoint_dir", ck, "--output_dir", below], d("file").string),
      (.build, ["--checkpoint_dir", ck, "--output_dir", out, "--input_timing_cache", no], "--input_timing_cache: \(no)"),
      (.build, ["--checkpoint_dir", ck, "--output_dir", out, "--output_timing_cache", no + "/x"], "--output_timing_cache: \(no)"),
      (.prune, ["--checkpoint_dir", no, "--out_dir", out], no), (.prune, ["--checkpoint_dir", ck, "--out_dir", below], d("file").string),
      (.prune, ["--checkpoint_dir", ck, "--verify", no], no), (.prune, ["--checkpoint_dir", ck, "--restore", no, "--out_dir", out], no),
      (.refit, ["--engine_dir", no, "--checkpoint_dir", ck, "--refit_engine_dir", out], no), (.refit, refit + ["--checkpoint_dir", no], no),
      (.refit, ["--engine_dir", e, "--checkpoint_dir", ck, "--refit_engine_dir", below], d("file").string), (.refit, refit + ["--lora_dir", no], no),
      (.refit, refit + ["--checkpoint_dir", lora, "--base_checkpoint_dir", no], no), (.refit, ["--verify_engine", no], no),
      (.refit, refit + ["--checkpoint_dir", ck, "--report", no + "/x.html"], "--report is \"\(no)/x.html\""),
      (.run, run + ["--engine_dir", no], no), (.run, run + ["--engine_dir", e, "--tokenizer_dir", no], "--tokenizer_dir: \(no)"),
      (.run, run + ["--model", model, "--engine_cache", below], d("file").string),
      (.serve, [no, "--port", "0"], no), (.serve, serve + ["--tokenizer", no], "--tokenizer_dir: \(no)"), (.serve, serve + ["--chat_template", no], "--chat_template: \(no)"),
      (.serve, serve + ["--api_key_file", no], "--api_key_file"), (.serve, serve + ["--weights_root", e, "--admin_key_file", no], "--admin_key_file"),
      (.serve, serve + ["--weights_root", no, "--admin_key_file", d("key").string], "--weights_root: \(no)"),
      (.serve, serve + ["--tls_certificate", no, "--tls_key", d("key").string], "--tls_certificate: \(no)"),
      (.serve, serve + ["--tls_certificate", d("key").string, "--tls_key", no], "--tls_key: \(no)"),
      (.serve, [model, "--port", "0", "--engine_cache", below], d("file").string),
    ]
    for (command, arguments, word) in cases {
      let said = try command(arguments)
      #expect(said.status == 1 && !said.wasKilled && said.output == "", "\(command) \(arguments): \(said.status) \(said.errors)")
      #expect(said.errors.contains(word), "'\(word)' in: \(said.errors)")
      #expect(!said.errors.contains("drydock-new"), "a name of ours in: \(said.errors)")
    }
    #expect(names(in: d("out")) == nil && names(in: d("nowhere")) == nil)
  }

  @Test func `a key in the place of its file's name is not repeated`() throws {
    for flag in ["--api_key_file", "--admin_key_file"] {
      for form in [[flag, "sk-4f9c1e77Zq81"], ["\(flag)=sk-4f9c1e77Zq81"]] {
        let said = try Command.serve(["/no", "--weights_root", "/"] + form, environment: ["DRYDOCK_ADMIN_KEY": "x"])
        #expect(said.status == 1 && said.errors.contains("\(flag): the file that it names cannot be read (No such file or directory)"), "\(said.errors)")
        #expect(!said.errors.contains("4f9c"), "\(said.errors)")
      }
    }
  }
}
