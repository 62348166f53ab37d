import EngineFixtures
import CPUBackend
import CPUKernels
import Digests
import Engines
import Execution
import Files
import JSON
import Networks
import Safetensors
import Schemes
import SystemPackage
import Tensors
import TestSupport
import Testing

/// What a target makes beside the plan, in engines that carry it.
@Suite struct ArtifactTests {
  private let model = SmallModel(hidden: 32, layers: 1, vocabulary: 19)
  private func life(_ target: Carrying = Carrying()) -> Lifecycle { Lifecycle(target: target) }
  private func rank(_ life: Lifecycle, _ name: String) throws -> EngineFile { try EngineFile(life.directory(name).appending("rank0.engine")) }

  @Test func `refits and strips carry it byte for byte, and the equalities hold`() async throws {
    for tensorParallel in [1, 2] {
      var model = model
      model.tensorParallel = tensorParallel
      let life = life()
      let (a, b) = (try model.write(life.directory, "A", seed: 1), try model.write(life.directory, "B", seed: 2))
      let built = try await life.build(a, "engine-A", scope: .all)
      #expect(built.plans.allSatisfy { $0.artifacts.map(\.name) == ["made.odd", "made.even"] })
      try await life.build(b, "engine-B", scope: .all)
      try await life.refit("engine-A", with: b, to: "refitted")
      life.expectSame("refitted", "engine-B", "refit(build(A), B) == build(B)")
      try await life.strip("engine-A", to: "stripped")
      try await life.build(a, "built-stripped", strip: true, scope: .all)
      life.expectSame("stripped", "built-stripped", "strip(build(A)) == build(A, strip)")
      try await life.refit("stripped", with: a, to: "filled")
      life.expectSame("filled", "engine-A", "refit(strip(build(A)), A) == build(A)")
      #expect(life.rankFiles("engine-A") != life.rankFiles("engine-B"))
    }
  }

  @Test func `its bytes are tensors behind the weights, which any reader of the format finds`() async throws {
    let life = life()
    try await life.build(try model.write(life.directory, "A", seed: 3), "engine")
    let file = try rank(life, "engine"), tensors = try SafetensorsFile(file.path)
    #expect(try tensors.bytes(of: "made.odd") == Carrying.odd && tensors.bytes(of: "made.even") == Carrying.even)
    #expect(tensors.header["made.odd"]?.description == TensorDescription(shape: [Carrying.odd.count], elementType: .uint8))
    let weights = file.plan.weights.keys.compactMap { tensors.header[$0]?.range.upperBound }.max() ?? 0
    #expect(try #require(tensors.header["made.odd"]).range.lowerBound >= weights)
    #expect(file.plan.artifacts[0].digest == SHA256.hash(Carrying.odd).hexadecimal && file.plan.artifacts[0].origin == Carrying.origin)
    #expect(try Plan(json: try JSONValue(parsing: file.planText)) == file.plan && file.plan.json.serialized() == file.planText)
    #expect(file.missingWeights == [] && !file.isStripped)
  }

  @Test func `an engine without any is as it was, in format 2`() async throws {
    let (with, without) = (life(), life(Carrying(isEmpty: true)))
    for life in [with, without] { try await life.build(try model.write(life.directory, "A", seed: 4), "engine") }
    let (some, none) = (try rank(with, "engine"), try rank(without, "engine"))
    #expect(some.planText.hasPrefix(#"{"formatVersion":3,"#) && none.planText.hasPrefix(#"{"formatVersion":2,"#))
    #expect(!none.planText.contains("artifacts"))
    var bare = some.plan
    bare.artifacts = []
    #expect(bare == none.plan, "nothing else changes")
    for name in none.plan.weights.keys { #expect(try some.tensors.bytes(of: name) == none.tensors.bytes(of: name)) }
  }

  @Test func `a target that knows nothing of it runs the engine`() async throws {
    let (with, without) = (life(), life(Carrying(isEmpty: true)))
    var answers: [[Float]] = []
    for life in [with, without] {
      try await life.build(try model.write(life.directory, "A", seed: 5), "engine")
      let engine = try CPU().open(try EngineDirectory(life.directory("engine")), options: .init())
      let batch = Batch(tokens: [1, 2, 3], sequences: [SequenceSlice(rows: 0..<3, firstPosition: 0, blockTable: [0], phase: .prefill, wantsLogits: true)])
      unsafe try engine.step(batch) { _, logits in unsafe answers.append(Array(logits)) }
    }
    #expect(answers.count == 2 && answers[0] == answers[1])
  }

  @Test func `bytes that are not the plan's are found by who verifies and refused to who asks for them`() async throws {
    let life = life()
    let a = try model.write(life.directory, "A", seed: 6)
    try await life.build(a, "engine", scope: .all)
    let verifier = EngineVerifier(workers: 1)
    #expect(try await verifier.verify(try EngineDirectory(life.directory("engine"))).differences == [])
    let file = try rank(life, "engine")
    let place = file.tensors.header.dataStart + (try #require(file.tensors.header["made.even"])).range.lowerBound + 7
    var bytes = try #require(contents(file.path))
    bytes[place] ^= 1
    life.directory.write("engine/rank0.engine", bytes)
    let damaged = try EngineDirectory(life.directory("engine"))
    #expect(try await verifier.verify(damaged).differences == [.artifact("made.even", file: "rank0.engine")])
    let plan = damaged.ranks[0].plan
    #expect(try damaged.ranks[0].bytes(of: plan.artifacts[0]) == Carrying.odd)
    let error = #expect(throws: EngineError.self) { try damaged.ranks[0].bytes(of: plan.artifacts[1]) }
    #expect(error?.description.contains("made.even holds other bytes") == true && error?.description.contains("build it again") == true)
    // A refit mends no damage and hides none.
    try await life.refit("engine", with: a, to: "refitted")
    #expect(try await verifier.verify(try EngineDirectory(life.directory("refitted"))).differences == [.artifact("made.even", file: "rank0.engine")])
  }

  @Test func `a plan that lies about it is refused`() async throws {
    let life = life()
    try await life.build(try model.write(life.directory, "A", seed: 7), "engine")
    let whole = try EngineForge(life.directory("engine"))
    #expect(try whole.write(to: life.directory("forged")))
    #expect(try EngineDirectory(life.directory("forged")).ranks[0].plan.artifacts.count == 2)
    let first = "artifacts"
    let weight = try #require(whole.plans[0]["weights"]?.object?.keys.first)
    for (key, value, words): (String, JSONValue, String) in [
      ("name", "made.even", "two artifacts"), ("name", "", "is called"), ("name", "a/b", "is called"), ("name", "a\u{1B}[31m", "is called"),
      ("name", .string(String(repeating: "x", count: 200)), "is called"), ("name", .string(weight), "as a weight"), ("name", "a.padding", "as a weight or what fills up"),
      ("byteCount", 0, "byteCount"), ("byteCount", .int(1 << 40), "size"), ("sha256", "", "digest"),
      ("sha256", .string(String(repeating: "A", count: 64)), "digest"), ("source", "x", "digest"), ("options", ["a\nb"], "printable"),
      ("options", [.int(1)], "option"), ("options", .strings(Array(repeating: "x", count: 65)), "printable"), ("compiler", "a\u{7F}", "printable"),
      ("architecture", "", "architecture"), ("architecture", "sm 90", "architecture"),
    ] {
      let said: String?
      do {
        var plan = whole.plans[0]
        plan[at: first][at: 0][at: key] = value
        _ = try Plan(json: plan)
        said = nil
      } catch { said = error.reason }
      #expect(said?.contains(words) == true, "\(key) \(value): \(said ?? "accepted")")
    }
    var many = whole.plans[0]
    many[at: first] = .array(
      (0..<1025).map { index in
        var one = many[at: first][at: 0]
        one[at: "name"] = .string("a\(index)")
        return one
      })
    #expect(throws: PlanFormatError.self) { try Plan(json: many) }
  }

  @Test func `a file that lacks it, or holds one of another size, is refused`() async throws {
    let life = life()
    try await life.build(try model.write(life.directory, "A", seed: 8), "engine")
    let whole = try EngineForge(life.directory("engine"))
    func refusal(_ change: (inout EngineForge) -> Void) throws -> String {
      var forge = whole
      change(&forge)
      #expect(try forge.write(to: life.directory("forged")))
      return "\((#expect(throws: EngineError.self) { _ = try EngineDirectory(life.directory("forged")) })?.description ?? "")"
    }
    #expect(try refusal { $0.artifacts[0].removeFirst() }.contains("the file lacks the artifact \"made.odd\""))
    #expect(try refusal { $0.plans[0][at: "artifacts"][at: 0][at: "byteCount"] = 76 }.contains("\"made.odd\" is"))
    #expect(try refusal { $0.plans[0][at: "artifacts"] = [] }.contains("does not know the weight \"made.odd\""))
    #expect(try refusal { $0.plans[0][at: "formatVersion"] = 2 }.contains("does not know the weight \"made.odd\""))
  }

  @Test func `a target that fails leaves nothing, and what it has to say is handed on once`() async throws {
    let model = try { (life: Lifecycle) in try self.model.write(life.directory, "A", seed: 9) }
    let failing = life(Carrying(failure: "the compiler has a bad day"))
    let checkpoint = try model(failing)
    let error = await #expect(throws: EngineError.self) { try await failing.build(checkpoint, "engine") }
    #expect(error?.description.contains("no engine for cpu can be built: the compiler has a bad day") == true)
    #expect(names(in: failing.directory("engine")) == nil)
    var two = self.model
    two.tensorParallel = 2
    let noting = life(Carrying(isEmpty: true, note: "no compiler"))
    #expect(try await noting.build(try two.write(noting.directory, "A", seed: 9), "engine").notes == ["no compiler"])
  }
}

/// The processor, which also has something made.
private struct Carrying: PlanTarget {
  static let odd = (0..<77).map { UInt8($0) }
  static let even = (0..<128).map { UInt8(255 - $0) }
  static let origin = ArtifactOrigin(
    sourceDigest: SHA256.hash(Array("source".utf8)).hexadecimal, options: ["--level=3", "-DX=a b"], architecture: "any", compiler: "Maker 1.2")
  var isEmpty = false
  var failure: String?
  var note: String?
  private let base = Unmeasured()

  init(isEmpty: Bool = false, failure: String? = nil, note: String? = nil) { (self.isEmpty, self.failure, self.note) = (isEmpty, failure, note) }

  var name: String { base.name }
  var device: String { base.device }
  func linearLayout(_ scheme: NumberScheme) -> WeightLayout? { base.linearLayout(scheme) }
  func cacheElementType(_ elementType: ElementType) -> ElementType { base.cacheElementType(elementType) }
  func obstacles(to plan: Plan) -> [String] { base.obstacles(to: plan) }
  func hasKernels(for tactics: KernelTactics) -> Bool { base.hasKernels(for: tactics) }
  func measure(_ problem: KernelProblem) -> KernelTactics { base.measure(problem) }
  func artifacts(for plan: Plan) throws -> TargetArtifacts {
    if let failure { throw Failure(description: failure) }
    let made = [TargetArtifact(name: "made.odd", bytes: Self.odd, origin: Self.origin), TargetArtifact(name: "made.even", bytes: Self.even, origin: Self.origin)]
    return TargetArtifacts(isEmpty ? [] : made, notes: note.map { [$0] } ?? [])
  }
}
private struct Failure: Error, CustomStringConvertible { let description: String }
