import EngineFixtures
import Engines
import Files
import Foundation
import JSON
import Synchronization
import SystemPackage
import Tensors
import TestSupport
import Testing

/// Engines that are built on the way and kept.
@Suite struct EngineCacheTests {
  let d = TemporaryDirectory(inMemory: true)
  var cache: EngineCache { EngineCache(directory: d("cache")) }
  static let tiny = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent().appending("Models/tiny").lexicallyNormalized()

  private var builder: EngineBuilder {
    var options = EngineBuilder.Options()
    options.workers = 1
    return EngineBuilder(options: options, target: Unmeasured())
  }

  /// The engine, and what was said.
  private func get(
    _ model: FilePath, _ cache: EngineCache, type: ElementType? = nil, keeping: ElementType? = nil
  ) async throws -> (engine: CachedEngine, said: [String], warned: [String]) {
    let said = Mutex<[String]>([])
    let warned = Mutex<[String]>([])
    var builder = builder
    builder.options.cacheElementType = keeping
    let engine = try await cache.engine(EngineCache.Request(model: model, elementType: type, machine: "test"), builder: builder) { event in
      if case .warnings(let warnings) = event { return warned.withLock { $0 += warnings.model + warnings.files } }
      let word =
        switch event {
        case .waiting: "waiting"
        case .broken: "broken"
        case .removed(let path, _): "removed \(path.lastComponent?.string ?? "")"
        case .building: "building"
        case .built: "built"
        case .found: "found"
        case .warnings: ""
        }
      said.withLock { $0.append(word) }
    } open: {
      try BuildSource(model, elementType: type)
    }
    return (engine, said.withLock { $0 }, warned.withLock { $0 })
  }

  /// A copy of the tiny model with other bytes in the middle of its weights.
  private func model(_ name: String, _ number: UInt8 = 0) throws -> FilePath {
    try FileManager.default.copyItem(atPath: Self.tiny.string, toPath: d(name).string)
    if number > 0 { try change(d(name), number) }
    return d(name)
  }
  private func change(_ model: FilePath, _ number: UInt8) throws {
    let file = try #require(FileHandle(forUpdatingAtPath: model.appending("model.safetensors").string))
    let size = try file.seekToEnd()
    try file.seek(toOffset: size / 2 / 4 * 4)
    try file.write(contentsOf: Data([number, number]))
    try file.close()
  }
  private var kept: [String] { (names(in: d("cache")) ?? []).sorted() }

  @Test func `an engine is built once, found afterwards, and is the one that a build gives`() async throws {
    let model = try model("m")
    let first = try await get(model, cache)
    #expect(first.said == ["building", "built"])
    let second = try await get(model, cache)
    #expect(second.said == ["found"] && second.engine.path == first.engine.path)
    #expect(kept == [first.engine.path.lastComponent?.string ?? ""], "nothing else is left in the cache")
    let source = try BuildSource(model)
    _ = try await builder.write(try builder.prepare(source), of: source, to: d("built"))
    var (one, two) = (snapshot(first.engine.path), snapshot(d("built")))
    for key in [Lineage.fileName] { (one[key], two[key]) = (nil, nil) }
    #expect(one == two && one.keys.contains("tokenizer.json"))
  }

  @Test func `another type, another tokenizer and other weights are other engines`() async throws {
    let model = try model("m")
    let first = try await get(model, cache).engine.path
    #expect(try await get(model, cache, type: .bfloat16).engine.path != first)
    // The time of the last change is set back, as copying tools do: the weights are others all the same.
    let weights = model.appending("model.safetensors").string
    let time = try FileManager.default.attributesOfItem(atPath: weights)[.modificationDate]
    try change(model, 7)
    try FileManager.default.setAttributes([.modificationDate: try #require(time)], ofItemAtPath: weights)
    let changed = try await get(model, cache)
    #expect(changed.engine.path != first && changed.said == ["building", "built"])
    d.write("m/chat_template.jinja", "{{ messages[0].content }}")
    let templated = try await get(model, cache)
    #expect(templated.engine.path != changed.engine.path && names(in: templated.engine.path)?.contains("chat_template.jinja") == true)
  }

  @Test func `another type of keys and values is another engine`() async throws {
    let model = try model("m")
    let first = try await get(model, cache)
    #expect(try EngineDirectory(first.engine.path).ranks[0].plan.caches.first?.elementType == .bfloat16)
    let exact = try await get(model, cache, keeping: .float32)
    #expect(exact.said == ["building", "built"] && exact.engine.path != first.engine.path)
    #expect(try EngineDirectory(exact.engine.path).ranks[0].plan.caches.first?.elementType == .float32)
    #expect(try await get(model, cache, keeping: .float32).said == ["found"])
  }

  @Test func `a change in the middle of a large file counts, though its time is set back`() throws {
    let file = d.write("large.gguf", [UInt8](repeating: 1, count: 3 << 20))
    func key() throws -> FilePath { try cache.path(of: EngineCache.Request(model: file, machine: "test"), builder: builder) }
    let before = try key()
    #expect(try key() == before)
    let time = try #require(try FileManager.default.attributesOfItem(atPath: file.string)[.modificationDate])
    let handle = try #require(FileHandle(forUpdatingAtPath: file.string))
    try handle.seek(toOffset: 3 << 19)
    try handle.write(contentsOf: Data([2]))
    try handle.close()
    try FileManager.default.setAttributes([.modificationDate: time], ofItemAtPath: file.string)
    #expect(try key() != before)
  }

  @Test func `a named chat template counts as the other files of a model do`() throws {
    let model = try model("named", 1)
    func key() throws -> FilePath { try cache.path(of: EngineCache.Request(model: model, machine: "test"), builder: builder) }
    let none = try key()
    d.write("named/additional_chat_templates/rag.jinja", "a")
    let first = try key()
    d.write("named/additional_chat_templates/rag.jinja", "b")
    #expect(try first != none && key() != first)
  }

  @Test func `engines not used for longest go when the cache is full, and none that is in use`() async throws {
    let models = try (1...4).map { try model("m\($0)", UInt8($0)) }
    func name(_ engine: CachedEngine) -> String { engine.path.lastComponent?.string ?? "" }
    func age(_ engine: CachedEngine, _ seconds: Double) throws {
      try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSinceNow: -seconds)], ofItemAtPath: engine.path.string)
    }
    let a = try await get(models[0], cache).engine
    // Room for two and a half.
    let bounded = EngineCache(directory: d("cache"), limit: CacheDirectory.byteCount(a.path) * 5 / 2)
    let b = try await get(models[1], bounded).engine
    #expect(kept == [name(a), name(b)].sorted())
    a.end()
    b.end()
    try age(a, 200)
    try age(b, 100)
    // Used again, so the other is now the one not used for longest.
    let again = try await get(models[0], bounded)
    #expect(again.said == ["found"])
    again.engine.end()
    let c = try await get(models[2], bounded)
    #expect(c.said == ["removed \(name(b))", "building", "built"])
    #expect(kept == [name(a), name(c.engine)].sorted())
    // With both in use nothing may go.
    let used = try await get(models[0], bounded)
    do {
      _ = try await get(models[3], bounded)
      Issue.record("there was no room")
    } catch let error as EngineCacheError {
      guard case .inUse = error.problem else { throw error }
      #expect(error.description.contains("--engine_cache_size"))
    }
    #expect(kept == [name(a), name(c.engine)].sorted())
    used.engine.end()
    #expect(try await get(models[3], bounded).said.first == "removed \(name(a))", "the one still in use stays, however long ago")
    c.engine.end()
  }

  @Test func `what is to be said of a model is said each time, and not only when its engine is built`() async throws {
    let model = try model("m")
    let config = try #require(text(model.appending("config.json")))
    d.write("m/config.json", config.replacing("{", with: #"{"strange_setting": 7,"#, maxReplacements: 1))
    d.write("m/generation_config.json", #"{"eos_token_id": 2, "do_sample": true, "temperature": 0.5}"#)
    d.write("m/chat_template.jinja", "{% for %}")
    d.write("m/quantize_config.json", "{}")
    let first = try await get(model, cache)
    for word in ["strange_setting", "temperature", "chat template cannot be used", "quantize_config.json"] {
      #expect(first.warned.count { $0.contains(word) } == 1, "'\(word)' once in \(first.warned)")
    }
    let second = try await get(model, cache)
    #expect(second.said == ["found"] && second.warned == first.warned)
    #expect(try await get(try self.model("quiet"), cache).warned == [])
  }

  /// What a process that builds an engine of this name holds.
  private func work(on digit: Character) throws -> ExclusiveWork {
    makeDirectory(d("cache"))
    return try #require(try ExclusiveWork.begin(d("cache").appending(".engine-\(String(repeating: digit, count: 32)).lock.drydock-new")))
  }

  @Test func `room that builds in progress have claimed is none`() async throws {
    let models = try (1...2).map { try model("m\($0)", UInt8($0)) }
    let a = try await get(models[0], cache).engine
    a.end()
    let size = CacheDirectory.byteCount(a.path)
    // Room for two and a half, of which another process builds one: the first must go.
    let bounded = EngineCache(directory: d("cache"), limit: size * 5 / 2)
    let other = try work(on: "a")
    try other.claim(size)
    #expect(try await get(models[1], bounded).said.first == "removed \(a.path.lastComponent?.string ?? "")")
    other.end()
    // The disk is to be filled by another build, of which a part is there.
    CacheDirectory.sweep(d("cache"))
    for entry in kept { remove(d("cache").appending(entry)) }
    let rest = try CacheDirectory.freeSpace(d("cache"))
    let large = try work(on: "b")
    try large.claim(2 * rest)
    do {
      _ = try await get(models[0], cache)
      Issue.record("there was no space")
    } catch let error as EngineCacheError {
      guard case .noSpace = error.problem else { throw error }
    }
    large.end()
    #expect(try await get(models[0], cache).said == ["building", "built"])
  }

  @Test func `an engine that its builder does not use yet is not removed`() async throws {
    let models = try (1...2).map { try model("m\($0)", UInt8($0)) }
    let a = try await get(models[0], cache).engine
    a.end()  // as before the builder has it in use
    let name = try #require(a.path.lastComponent?.string)
    let builder = try #require(try ExclusiveWork.begin(d("cache").appending(".\(name).lock.drydock-new")))
    let bounded = EngineCache(directory: d("cache"), limit: CacheDirectory.byteCount(a.path) * 3 / 2)
    do {
      _ = try await get(models[1], bounded)
      Issue.record("there was no room")
    } catch let error as EngineCacheError {
      guard case .inUse = error.problem else { throw error }
    }
    #expect(kept.contains(name))
    builder.end()
    #expect(try await get(models[1], bounded).said == ["removed \(name)", "building", "built"])
  }

  @Test func `a change of what an engine holds raises the generation`() async throws {
    // By generation: the root digest (plan and weights) of the tiny model's engine as the default options make it.
    let known = try JSONValue(parsing: try #require(text(FilePath(#filePath).removingLastComponent().appending("Expected/cache-generations.json"))))
    let source = try BuildSource(Self.tiny)
    _ = try await builder.write(try builder.prepare(source), of: source, to: d("built"))
    let root = try #require(try Lineage(directory: d("built"))).ranks.map(\.root)
    let wanted = known["\(EngineCacheKey.generation)"]?.string
    #expect(
      root == [wanted],
      """
      The engine that a model gives has changed, and caches would go on using the old ones. Raise EngineCacheKey.generation, \
      and add this digest under the new number to Tests/EnginesTests/Expected/cache-generations.json.
      """)
    let digests = (known.object ?? [:]).values.map(\.string)
    #expect(Set(digests).count == digests.count, "a generation that changes nothing")
  }

  @Test func `an engine that is larger than the cache may be is refused, and nothing is removed for it`() async throws {
    let first = try await get(try model("m1", 1), cache)
    first.engine.end()
    let small = EngineCache(directory: d("cache"), limit: 1000)
    await #expect(throws: EngineCacheError.self) { try await get(try model("m2", 2), small) }
    #expect(kept == [first.engine.path.lastComponent?.string ?? ""])
  }

  @Test(arguments: ["cut", "other rank file", "no lineage", "no configuration", "no rank file", "no settings", "other settings", "refitted"])
  func `an engine that was damaged is built again`(_ damage: String) async throws {
    let model = try model("m")
    let first = try await get(model, cache)
    let good = snapshot(first.engine.path)
    let rank = first.engine.path.appending("rank0.engine")
    switch damage {
    case "cut": try #require(FileHandle(forUpdatingAtPath: rank.string)).truncate(atOffset: 5000)
    case "other rank file":
      let other = try await get(try self.model("other", 9), EngineCache(directory: d("others")))
      try FileManager.default.removeItem(atPath: rank.string)
      try FileManager.default.copyItem(atPath: other.engine.path.appending("rank0.engine").string, toPath: rank.string)
    case "no lineage": remove(first.engine.path.appending(Lineage.fileName))
    case "no configuration": remove(first.engine.path.appending("config.json"))
    case "no settings": remove(first.engine.path.appending("generation_config.json"))
    case "other settings": d.write("cache/\(first.engine.path.lastComponent?.string ?? "")/generation_config.json", #"{"eos_token_id": 1}"#)
    case "refitted":
      first.engine.end()  // a refit in place waits until nobody uses the engine
      let engine = try EngineDirectory(first.engine.path)
      let source = try RefitSource(try self.model("other", 9), for: engine)
      let refitter = Refitter(engine: engine)
      _ = try await refitter.write(try await refitter.prepare(source), from: source, to: first.engine.path)
    default: remove(rank)
    }
    // Another process may have it open: that one is left in peace.
    let second = try await get(model, cache)
    #expect(second.said == ["broken", "building", "built"] && second.engine.path == first.engine.path)
    #expect(snapshot(second.engine.path)["rank0.engine"] == good["rank0.engine"])
    first.engine.end()
    second.engine.end()
    CacheDirectory.sweep(d("cache"))
    #expect(kept == [first.engine.path.lastComponent?.string ?? ""])
  }

  @Test func `many that want the same engine at once build it once`() async throws {
    let model = try model("m")
    let said = try await withThrowingTaskGroup(of: [String].self) { group in
      for _ in 0..<6 { group.addTask { try await get(model, cache).said } }
      return try await group.reduce(into: [String]()) { $0 += $1 }
    }
    #expect(said.filter { $0 == "built" }.count == 1)
    #expect(said.filter { $0 == "found" }.count == 5)
    #expect(kept.count == 1)
  }

  @Test func `a model that cannot be built leaves nothing, and a pruned checkpoint is none to run`() async throws {
    let model = try model("m")
    let whole = try #require(contents(model.appending("model.safetensors")))
    d.write("m/model.safetensors", Array(whole.dropLast(100)))
    await #expect(throws: (any Error).self) { try await get(model, cache) }
    #expect(kept == [])
    let a = try SmallModel.all[0].write(d, "A", seed: 1)
    let pruned = try Pruned.write(a, d, "pruned", everything: false)
    await #expect(throws: EngineError.self) { try await get(pruned, cache) }
    #expect(kept == [])
  }

  @Test func `what others keep beside the engines is left alone`() async throws {
    d.write("cache/notes/mine.txt", "mine")
    d.write("cache/engine-notmine/config.json", "{}")
    let first = try await get(try model("m1", 1), EngineCache(directory: d("cache")))
    first.engine.end()
    let limit = CacheDirectory.byteCount(first.engine.path) * 3 / 2
    _ = try await get(try model("m2", 2), EngineCache(directory: d("cache"), limit: limit))
    #expect(kept.count == 3 && kept.contains("notes") && kept.contains("engine-notmine"))
    #expect(text(d("cache/notes/mine.txt")) == "mine")
  }

  @Test func `a place where nothing can be kept is told with the flag that names another`() async throws {
    d.write("file", "no directory")
    do {
      _ = try await get(try model("m"), EngineCache(directory: d("file")))
      Issue.record("a file is no directory")
    } catch { #expect("\(error)".contains("--engine_cache")) }
  }

  @Test func `all parts of a model count, and no others`() throws {
    for name in ["x-00001-of-00002.gguf", "x-00002-of-00002.gguf", "y-00001-of-00002.gguf", "x.gguf"] { d.write("parts/\(name)", name) }
    func key(_ name: String) throws -> FilePath { try cache.path(of: EngineCache.Request(model: d("parts/\(name)"), machine: "test"), builder: builder) }
    #expect(try key("x-00001-of-00002.gguf") == key("x-00002-of-00002.gguf"), "whichever part is named")
    let (parts, whole, all) = (try key("x-00001-of-00002.gguf"), try key("x.gguf"), try key("."))
    d.write("parts/y-00001-of-00002.gguf", "other")
    #expect(try key("x-00001-of-00002.gguf") == parts)
    #expect(try key(".") != all)
    d.write("parts/x-00002-of-00002.gguf", "changed")
    #expect(try key("x-00001-of-00002.gguf") != parts)
    #expect(try key("x.gguf") == whole)
  }
}
