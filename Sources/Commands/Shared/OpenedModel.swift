import CPUBackend
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
  let engine: CPUEngine
  let tokenizer: Tokenizer
  /// Time to open the engine and map its weights, without the tokenizer.
  let loadTime: Duration

  /// - Parameter tokenizerPath: A directory with tokenizer.json; nil: the engine's own.
  init(engineDirectory: String, tokenizerPath: String?, options: CPUEngine.Options) throws {
    let path = FilePath(engineDirectory)
    let clock = ContinuousClock()
    let start = clock.now
    var options = options
    if options.isa == nil { options.isa = .detected }
    var directory = try EngineDirectory(path)
    var engine = try CPUEngine(directory, options: options)
    var loadTime = clock.now - start
    let place = FilePath(tokenizerPath ?? engineDirectory)
    var tokenizer = try Self.tokenizer(place, isGiven: tokenizerPath != nil, vocabulary: engine.vocabularySize)
    if tokenizerPath == nil, !directory.isInPlace {
      // A refit took the directory's place meanwhile: weights and tokenizer must be of one engine.
      let again = clock.now
      directory = try EngineDirectory(path)
      engine = try CPUEngine(directory, options: options)
      loadTime = clock.now - again
      tokenizer = try Self.tokenizer(place, isGiven: false, vocabulary: engine.vocabularySize)
    }
    (self.directory, self.engine, self.loadTime, self.tokenizer) = (directory, engine, loadTime, tokenizer)
    guard tokenizer.vocabularySize <= engine.vocabularySize else {
      throw EngineError(
        path, .unsupported(reason: "the tokenizer knows \(tokenizer.vocabularySize) tokens, the engine \(engine.vocabularySize). Give the model's own tokenizer."))
    }
  }

  /// Whether a model's own tokenizer can be used with its engine, before there is one.
  ///
  /// - Parameter flag: Names another tokenizer.
  static func checkTokenizer(of source: BuildSource, flag: String) throws {
    let files = try source.companionFiles()
    guard files.hasTokenizer else {
      let reason = files.notes.first ?? "no tokenizer.json here."
      throw EngineError(source.path, .unsupported(reason: "\(reason) Name a directory that has one with \(flag)."))
    }
    do {
      let tokenizer = try Tokenizer(files: try files.tokenizerFiles(), modelVocabulary: source.config.vocabularySize)
      guard tokenizer.vocabularySize <= source.config.vocabularySize else {
        throw EngineError(
          source.path, .unsupported(reason: "the tokenizer knows \(tokenizer.vocabularySize) tokens, the model \(source.config.vocabularySize). Give the model's own tokenizer with \(flag)."))
      }
    } catch let error as TokenizerError {
      throw EngineError(source.path, .unsupported(reason: "\(error)"))
    }
  }

  private static func tokenizer(_ path: FilePath, isGiven: Bool, vocabulary: Int) throws -> Tokenizer {
    guard Directory.kind(of: path) != .file else {
      let isTokenizer = path.lastComponent == "tokenizer.json"
      throw EngineError(path, .unsupported(reason: "this is a file. Name \(isTokenizer ? "its directory" : "a directory with tokenizer.json")."))
    }
    let names = try Directory.names(in: path)
    guard names.contains("tokenizer.json") else {
      let what = (try? FoundSource(at: path)).map { ", only \($0.kind == .engine ? "an" : "a") \($0.kind.name)" } ?? ""
      throw EngineError(
        path, .unsupported(reason: "no tokenizer.json here\(what). " + (isGiven
          ? "Name a directory that has one." : "Name the model's directory as tokenizer, or convert and build again: the file travels along.")))
    }
    do {
      let files = try TokenizerFiles(reading: { (name) throws(FileError) -> [UInt8]? in
        names.contains(name) ? try ReadableFile.contents(of: path.appending(name)) : nil
      })
      return try Tokenizer(files: files, modelVocabulary: vocabulary)
    } catch let error as TokenizerError {
      throw EngineError(path, .unsupported(reason: "\(error)"))
    }
  }
}
