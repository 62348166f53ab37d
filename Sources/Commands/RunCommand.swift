public import ArgumentParser
import Execution
import Files
import Engines
import Inference
import JSON
import Tokenizers

/// `trtllm-run`
public struct RunCommand: DrydockCommand {
  public static let configuration = CommandConfiguration(
    commandName: "trtllm-run",
    abstract: "Generate text from prompts, with an engine or a model file.",
    usage: "trtllm-run --engine_dir <path> --input_text <text> [<options>]",
    discussion: """
      Given a Hugging Face directory, a GGUF file or a checkpoint, it builds an engine for this machine, keeps it in \
      --engine_cache, and uses it again the next time.

      Examples:
        trtllm-run --engine_dir ./engines/v1 --input_text "The capital of France is"
        trtllm-run --engine_dir ./engines/v1 --chat --streaming \\
          --input_text "Who are you?"
        trtllm-run --model ./SmolLM2-135M-Instruct.gguf --chat \\
          --input_text "Who are you?" --temperature 0.8 --top_p 0.95

      Exit codes: 0 done, 1 failed (a path that does not exist, too), 2 wrong usage.
      """,
    version: Tool.name)

  @Option(
    name: [.customLong("engine_dir"), .customLong("model")],
    help: ArgumentHelp("An engine, a Hugging Face directory, a .gguf file or a checkpoint.", valueName: "path"))
  var engineDirectory: String

  @Option(
    name: [.customLong("tokenizer_dir"), .customLong("tokenizer")],
    help: ArgumentHelp("A directory with tokenizer.json; the engine's own by default.", valueName: "dir"))
  var tokenizerDirectory: String?

  @Option(name: .customLong("input_text"), help: ArgumentHelp("A prompt; repeatable, for one answer after another.", valueName: "text"))
  var inputTexts: [String]

  @Option(name: .customLong("max_output_len"), help: ArgumentHelp("Most tokens of an answer.", valueName: "n"))
  var maximumOutputLength: Int = 128

  @Option(help: ArgumentHelp("0, the default, takes the likeliest token; 1 draws as the model says.", valueName: "x"))
  var temperature: Double?

  @Option(name: .customLong("top_k"), help: ArgumentHelp("Draw from this many likeliest tokens; 0, the default, for all.", valueName: "n"))
  var topK: Int?

  @Option(name: .customLong("top_p"), help: ArgumentHelp("Draw from the likeliest tokens that hold this share; 1 by default.", valueName: "x"))
  var topP: Double?

  @Option(help: ArgumentHelp("Another number draws otherwise, the same one the same; 0 by default.", valueName: "seed"))
  var seed: UInt64?

  @OptionGroup var generation: GenerationOptions

  @Flag(help: "Put the prompt into the model's chat template as a user's message.")
  var chat = false

  @Flag(help: "Print text as it is generated.")
  var streaming = false

  @Flag(help: "Print one JSON object for each prompt.")
  var json = false

  @Option(help: ArgumentHelp("With --json: log-probabilities of this many likeliest tokens for each token.", valueName: "n"))
  var logprobs: Int?

  @Option(help: ArgumentHelp("Threads; as many as there are cores by default.", valueName: "n"))
  var threads: Int?

  @Option(
    name: .customLong("max_seq_len"),
    help: ArgumentHelp("Most tokens of prompt and answer; what the engine was built for by default.", valueName: "n"))
  var maximumSequenceLength: Int?

  @OptionGroup(title: "Memory of keys and values") var keyValueCache: KeyValueCacheOptions

  @OptionGroup var engineKernels: EngineKernelOptions
  @OptionGroup(title: "If the path is a model, of which an engine is built first") var engineCache: EngineCacheOptions

  @OptionGroup var logOptions: LogOptions

  public static let optionsElsewhere = OpenedModel.optionsElsewhere

  /// For ArgumentParser, which fills the options.
  public init() {}

  public func validate() throws {
    var problems: [String] = []
    for (name, value) in [("max_output_len", maximumOutputLength), ("threads", threads ?? 1)] where value < 1 {
      problems.append("--\(name) is \(value); it must be at least 1")
    }
    problems += OpenedModel.problems(ofSequenceLength: maximumSequenceLength)
    if logprobs != nil, !json { problems.append("--logprobs needs --json, which prints them: give both or none") }
    if streaming, json { problems.append("--streaming prints text as it comes, --json an object at the end: give one of them") }
    // Each by itself, since the check ends with the first that is wrong.
    let settings: [(inout SamplingParameters) -> Void] = [
      { $0.temperature = temperature ?? 0 }, { $0.topK = topK ?? 0 }, { $0.topP = topP ?? 1 }, { $0.logProbabilities = logprobs },
    ]
    for set in settings {
      var one = SamplingParameters()
      set(&one)
      do { try one.validate(vocabularySize: .max) } catch { problems.append("\(error)") }
    }
    try refuse(problems + keyValueCache.problems + engineCache.problems)
  }

  private func sampling(_ defaults: SamplingDefaults) -> SamplingParameters {
    var sampling = SamplingParameters()
    sampling.temperature = temperature ?? defaults.temperature ?? 0
    sampling.topK = topK ?? defaults.topK ?? 0
    sampling.topP = topP ?? defaults.topP ?? 1
    sampling.minP = defaults.minP ?? 0
    sampling.repetitionPenalty = defaults.repetitionPenalty ?? 1
    sampling.seed = seed ?? 0
    sampling.maximumTokens = maximumOutputLength
    sampling.logProbabilities = logprobs
    return sampling
  }

  public func run() async throws {
    let log = logOptions.log("trtllm-run")
    var options = ExecutorOptions()
    options.maximumSequences = 1
    options.threadCount = threads
    options.maximumSequenceLength = maximumSequenceLength
    keyValueCache.apply(to: &options)
    engineKernels.apply(to: &options)
    let used = try await UsedEngine(
      engineDirectory, options: engineCache,
      wanted: .init(threads: threads, opening: options, usesGenerationConfig: generation.use == .asPublished, tokenizerFlag: OpenedModel.tokenizerFlag, hasTokenizer: tokenizerDirectory != nil), log: log)
    defer { used.end() }
    let model = try used.told { try OpenedModel(engineDirectory: used.path.string, tokenizerPath: tokenizerDirectory, options: options) }
    log.verbose("opened \(used.path) in \(Format.time(model.loadTime)); keys and values: \(model.engine.cacheDescription)")
    log.warnings(model.engine.memoryWarnings)
    log.warnings(model.warnings + model.clipped([("max_seq_len", maximumSequenceLength)]) + engineKernels.warnings(for: model.directory))
    let sampling = sampling(try generation.defaults(of: model, log))
    let idle = [("--top_k", topK != nil), ("--top_p", topP != nil), ("--seed", seed != nil)].filter(\.1).map(\.0)
    if sampling.temperature < SamplingParameters.greedyBelow, !idle.isEmpty {
      log.warning(
        "\(idle.joined(separator: ", ")) \(idle.count == 1 ? "has" : "have") no effect at temperature 0, which takes the likeliest token: give --temperature")
    }
    let loop = try EngineLoop(executor: model.engine)
    for (index, text) in inputTexts.enumerated() {
      try await answer(text, index: index, model, loop, sampling)
    }
    await loop.stop(drain: true)
  }

  private func answer(_ text: String, index: Int, _ model: OpenedModel, _ loop: EngineLoop, _ sampling: SamplingParameters) async throws {
    let tokenizer = model.tokenizer
    let ids: [Int32]
    if chat {
      let prompt = try tokenizer.applyChatTemplate(
        messages: [["role": "user", "content": .string(text)]], addGenerationPrompt: true)
      ids = tokenizer.encode(prompt, addSpecialTokens: false)
    } else {
      ids = tokenizer.encode(text)
    }
    let request = GenerationRequest(
      id: "\(index)", promptIDs: ids, sampling: sampling, endOfSequenceIDs: tokenizer.endOfSequenceIDs)
    var decoder = tokenizer.makeIncrementalDecoder()
    var outputs: [Int32] = []
    var answer = ""
    var likeliest: [JSONValue] = []
    var finish = "length"
    var usage: Usage?
    for try await event in try loop.submit(request) {
      switch event {
      case .promptScored, .weightsChanged: break
      case .token(let token):
        outputs.append(token.id)
        if let top = token.top {
          likeliest.append(.array(top.map { ["id": .int(Int($0.id)), "logprob": .double(Double($0.logProbability))] }))
        }
        let piece = decoder.feed(token.id)
        answer += piece
        if streaming && !json { Terminal.write(piece) }
      case .finished(let reason, let used):
        switch reason {
        case .stop(let token):
          finish = "stop"
          if let token { outputs.append(token) }
        case .length: finish = "length"
        case .cancelled: finish = "cancelled"
        }
        usage = used
      }
    }
    let rest = decoder.finish()
    answer += rest
    if json {
      var object = report(model, ids, outputs, answer, finish, usage)
      if logprobs != nil { object["top_logprobs"] = .array(likeliest) }
      Terminal.write(JSONValue.object(object).serialized() + "\n")
    } else {
      Terminal.write(streaming ? rest + "\n" : answer + "\n")
    }
  }

  private func report(
    _ model: OpenedModel, _ ids: [Int32], _ outputs: [Int32], _ text: String, _ finish: String, _ usage: Usage?
  ) -> JSONObject {
    func rate(_ tokens: Int, _ seconds: Double) -> JSONValue {
      seconds > 0 && tokens > 0 ? .double((Double(tokens) / seconds * 100).rounded() / 100) : .null
    }
    return [
      "input_ids": .ints(ids.map(Int.init)), "output_ids": .ints(outputs.map(Int.init)), "text": .string(text),
      "finish_reason": .string(finish),
      "prompt_tokens_per_second": rate(ids.count - (usage?.cachedPromptTokens ?? 0), usage?.prefillSeconds ?? 0),
      // The first token comes with the prompt: decoding makes the others.
      "generation_tokens_per_second": rate(outputs.count - 1, usage?.decodeSeconds ?? 0),
      "load_seconds": .double(Format.roundedSeconds(model.loadTime)),
    ]
  }
}
