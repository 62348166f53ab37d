import EngineFixtures
import Engines
import JSON
import SystemPackage
import TestSupport
import Testing

/// Plans as versions before format 2 wrote them (`trtllm-inspect --json` of engines of commit 591923b, without tactics).
@Suite struct PlanFormat1Tests {
  private static let place = FilePath(#filePath).removingLastComponent()

  private func old(_ name: String) throws -> JSONValue {
    try JSONValue(parsing: try #require(text(Self.place.appending("Expected/plan-format-1/\(name).json"))))
  }

  @Test(arguments: [("tiny", "../../Models/tiny"), ("qwen3", "Expected/families/qwen3")])
  func `a plan of format 1 is what the planner makes of the same model today`(_ name: String, _ model: String) async throws {
    let life = Lifecycle.unmeasured()
    let source = try BuildSource(Self.place.appending(model).lexicallyNormalized())
    let builder = EngineBuilder(options: .init(), target: life.target)
    _ = try await builder.write(try builder.prepare(source), of: source, to: life.directory("engine"))
    var new = try #require(try EngineDirectory(life.directory("engine")).ranks.first).plan
    new.tactics = []
    let plan = try Plan(json: try old(name))
    #expect(plan == new)
    #expect(try Plan(json: plan.json) == plan)
  }

  @Test func `what is missing in a plan of format 1 is an error`() throws {
    for key in ["rotary", "cache", "operations"] {
      guard case .object(var members) = try old("tiny") else { Issue.record("no object"); return }
      members[key] = nil
      #expect(throws: PlanFormatErrorBox.self) { try PlanFormatErrorBox.check(.object(members)) }
    }
  }

  @Test func `what format 1 did not have is no part of it`() throws {
    var plan = try old("tiny")
    let operations = try #require(plan["operations"]?.array)
    let first = try #require(operations.first?["output"])
    plan[at: "operations"] = .array([operations[0], ["unary": "scale", "factor": 0, "value": first]] + operations[1...])
    let told = #expect(throws: PlanFormatErrorBox.self) { try PlanFormatErrorBox.check(plan) }
    #expect(told?.reason.contains("unary") == true)
    plan = try old("tiny")
    plan[at: "cache"][at: "layers"] = -1
    #expect(throws: PlanFormatErrorBox.self) { try PlanFormatErrorBox.check(plan) }
  }
}
