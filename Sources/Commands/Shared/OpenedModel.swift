import Execution
import Engines
import Files
import Inference
import JSON
import SystemPackage
import Tokenizers
import WeightSources

/// An engine with its tokenizer, ready to generate.
struct OpenedModel {
  let directory: EngineDirectory
  let engine: any OpenedEngine
  let tokenizer: Tokenizer
  /// Of the generation_config.json beside the tokenizer.
  let samplingDefaults: Result<SamplingDefaults, TokenizerError>
  /// What lies beside the tokenizer and cannot be read, a line each.
  let warnings: [String]
  /// Time to open the engine and map its weights, without the tokenizer.
  let loadTime: Duration

  /// Options that people look for where an engine is run, and where they are.
  static let optionsElsewhere = [
    "--target": "An engine says itself what it runs on: build one with 'trtllm-build --target cuda', and name that."
  ]

  /// Names another tokenizer than the engine's own.
  static let tokenizerFlag = "--tokenizer_dir"

  /// - Parameter tokenizerPath: A directory with tokenizer.json; nil: the engine's own.
  init(engineDirectory: String, tokenizerPath: String?, options: ExecutorOptions) throws {
    let path = FilePath(engineDirectory)
    let tokenizerPath = tokenizerPath.map { FilePath($0) }
    var opened = try Self(path, tokenizerPath, options)
    // A refit took the directory's place meanwhile: weights and tokenizer must be of one engine.
    if tokenizerPath == nil, !opened.directory.isInPlace { opened = try Self(path, tokenizerPath, options) }
    self = opened
  }

  private init(_ path: FilePath, _ tokenizerPath: FilePath?, _ options: ExecutorOptions) throws {
    let clock = ContinuousClock()
    let start = clock.now
    directory = try EngineDirectory(path)
    engine = try BackendRegistry.here.open(directory, options: options)
    loadTime = clock.now - start
    let vocabulary = engine.limits.vocabularySize
    var warnings: [String]
    (tokenizer, samplingDefaults, warnings) = try Self.tokenizer(tokenizerPath ?? path, isGiven: tokenizerPath != nil, vocabulary: vocabulary)
    // The build has shown those of the engine's own.
    if let tokenizerPath, tokenizer.vocabularySize > vocabulary {
      warnings.append("\(tokenizerPath.inMessage): the tokenizer knows \(tokenizer.vocabularySize) tokens, the engine \(vocabulary): a prompt with one of the others is refused. Check that it is the model's own")
    }
    self.warnings = warnings
  }

  /// What is wrong with a `--max_seq_len`, where an engine is run.
  static func problems(ofSequenceLength length: Int?) -> [String] {
    guard let length, length < 2 else { return [] }
    return ["--max_seq_len is \(length); it must be at least 2: a prompt and an answer"]
  }

  /// An engine is as large as it was built; asking for more is a warning, not an error, as upstream's flags only bound.
  ///
  /// - Parameter asked: By name of the flag.
  func clipped(_ asked: [(name: String, value: Int?)]) -> [String] {
    guard let built = directory.ranks.first?.plan.limits else { return [] }
    let limits = ["max_batch_size": built.batchSize, "max_num_tokens": built.tokens, "max_seq_len": built.sequenceLength]
    return asked.compactMap { name, value in
      guard let value, let limit = limits[name] else { return nil }
      if value > limit { return "--\(name) is \(value), but the engine was built for \(limit): \(limit) it is. Build another for more." }
      // Each sequence of a step has a row of it.
      guard name == "max_batch_size", value > engine.limits.maximumSequences else { return nil }
      // Where the engine is what bounds a step, asking this program for more does nothing.
      let remedy =
        built.tokens < value && engine.limits.maximumBatchRows >= built.tokens
        ? "The engine was built for so many: build another with --max_num_tokens \(value)." : "Raise --max_num_tokens for more."
      return "--\(name) is \(value), but a step takes \(engine.limits.maximumBatchRows) tokens: \(engine.limits.maximumSequences) it is. \(remedy)"
    }
  }

  /// Whether a model's own tokenizer can be used with its engine, before there is one.
  ///
  /// - Parameter flag: Names another tokenizer.
  static func checkTokenizer(of source: BuildSource, flag: String) throws {
    let files = try source.companionFiles()
    guard files.hasTokenizer else {
      let reason = files.unreadableTokenizer ?? files.notes.first ?? "no tokenizer.json here."
      throw EngineError(source.path, .unsupported(reason: "\(reason) Name a directory that has one with \(flag)."))
    }
    do {
      _ = try Tokenizer(files: try files.tokenizerFiles(), modelVocabulary: source.config.vocabularySize)
    } catch let error as TokenizerError {
      throw EngineError(source.path, .unsupported(reason: "\(error) \(flag) names another tokenizer's directory."))
    }
  }

  private static func tokenizer(_ path: FilePath, isGiven: Bool, vocabulary: Int) throws -> (Tokenizer, Result<SamplingDefaults, TokenizerError>, [String]) {
    guard Directory.kind(of: path) != .file else {
      let isTokenizer = path.lastComponent == "tokenizer.json"
      throw CommandFailure("\(tokenizerFlag): \(path) is a file. Name \(isTokenizer ? "its directory" : "a directory with tokenizer.json").")
    }
    // The name of a model on a server is reported as that.
    if isGiven, Directory.kind(of: path) == nil { _ = try naming(tokenizerFlag) { try FoundSource(at: path, for: .model) } }
    let names = isGiven ? try naming(tokenizerFlag) { try Directory.files(in: path) } : try Directory.files(in: path)
    guard names.contains("tokenizer.json") else {
      // In Hugging Face's cache the files lie in a snapshot.
      if isGiven, let found = try? FoundSource(at: path), found.path != path, Directory.kind(of: found.path) == .directory {
        return try tokenizer(found.path, isGiven: true, vocabulary: vocabulary)
      }
      if isGiven, let reason = try? CompanionFiles(beside: path, architecture: nil).findings(modelVocabulary: vocabulary).unusable {
        throw EngineError(path, .unsupported(reason: "\(reason)."))
      }
      let what = (try? FoundSource(at: path)).map { ", only \($0.kind == .engine ? "an" : "a") \($0.kind.name)" } ?? ""
      throw EngineError(
        path,
        .unsupported(
          reason: "no tokenizer.json here\(what). "
            + (isGiven
              ? "Name a directory that has one with \(tokenizerFlag)."
              : "Name the model's directory with \(tokenizerFlag), or convert and build again: the file travels along.")))
    }
    let templates = try CompanionFiles.templateFiles(beside: path)
    do {
      let files = try TokenizerFiles(
        templates: templates.names,
        reading: { (name) throws(FileError) -> [UInt8]? in
          names.contains(name) || name.contains("/") ? try ReadableFile.contents(of: path.appending(name)) : nil
        })
      let defaults = Result { () throws(TokenizerError) in try SamplingDefaults(files) }
      let unreadable = try CompanionFiles.unreadable(in: path) + templates.notes + [files.generationNote].compactMap(\.self)
      return (try Tokenizer(files: files, modelVocabulary: vocabulary), defaults, unreadable.map { "\(path.inMessage): \($0)" })
    } catch let error as TokenizerError {
      throw EngineError(path, .unsupported(reason: "\(error) \(tokenizerFlag) names \(isGiven ? "the" : "another") tokenizer's directory."))
    }
  }
}
