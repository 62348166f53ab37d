@_spi(_Unicode) import Swift
import JSON
import TestSupport
import Testing
import Tokenizers

/// Work on a stranger's text ends with its budget.
@Suite(.timeLimit(.minutes(8))) struct WorkBudgetTests {
  private func spent() -> WorkBudget {
    let budget = WorkBudget(timeLimit: .zero)
    budget.begin()
    return budget
  }
  private func cancelled() -> WorkBudget {
    let budget = WorkBudget(timeLimit: .seconds(1000))
    budget.cancel()
    return budget
  }

  @Test func `time counts from the beginning of the work`() throws {
    let budget = WorkBudget(timeLimit: .zero)
    try budget.check()
    budget.begin()
    #expect(throws: WorkBudget.Exceeded.time(limit: .zero)) { try budget.check() }
    #expect(throws: WorkBudget.Exceeded.cancelled) { try cancelled().check() }
  }

  @Test(
    "a text is not cut into tokens past the budget",
    arguments: [
      String(repeating: "word ", count: 20_000), String(repeating: "a", count: 100_000), String(repeating: "<|im_end|>x", count: 20_000),
    ])
  func tokens(text: String) throws {
    let tokenizer = try Expected.tokenizer("smollm")
    let whole = tokenizer.encode(text)
    #expect(try tokenizer.encode(text, budget: WorkBudget(timeLimit: .seconds(1000))) == whole)
    #expect(throws: WorkBudget.Exceeded.time(limit: .zero)) { try tokenizer.encode(text, budget: spent()) }
    #expect(throws: WorkBudget.Exceeded.cancelled) { try tokenizer.encode(text, budget: cancelled()) }
  }

  @Test func `a template stops soon after its budget is spent`() throws {
    let template = try ChatTemplate(source: "{% for a in range(9999) %}{% for b in range(100) %}{% endfor %}{% endfor %}")
    #expect(try template.render(messages: [], budget: WorkBudget(timeLimit: .seconds(1000))).isEmpty)
    for (budget, reason) in [(spent(), "longer than 0.0 s"), (cancelled(), "cancelled")] {
      let error = #expect(throws: TemplateError.self) { try template.render(messages: [], budget: budget) }
      #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
    }
  }

  @Test func `a name of many marks is not looked up, where that would take long`() throws {
    let marks = JSONValue.string("a" + String(repeating: "\u{301}\u{316}", count: 500_000))
    for source in ["{{ {'a': 1}[name] }}", "{{ name in {'a': 1} }}", "{{ {'a': 1}.get(name) }}", "{{ {name: 1} }}"] {
      let template = try ChatTemplate(source: source)
      #expect(throws: TemplateError.self) { try template.render(messages: [], extra: ["name": marks]) }
      _ = try template.render(messages: [], extra: ["name": "a\u{301}"])
    }
  }
}

/// Combining marks in any number and order.
@Suite(.timeLimit(.minutes(8))) struct MarkOrderTests {
  private static let marks: [Unicode.Scalar] = [
    "\u{301}", "\u{316}", "\u{327}", "\u{345}", "\u{334}", "\u{F73}", "\u{F75}", "\u{F81}", "\u{F71}", "\u{344}", "\u{3099}", "\u{302A}", "\u{5B0}",
  ]
  private func composed(_ text: String.UnicodeScalarView) -> [UInt8] {
    composedSlowly(String(MarkOrder.sorted(Array(String(text).utf8))))
  }

  /// The standard library's own way, which is right, and slow for runs that are out of order.
  private func composedSlowly(_ text: String) -> [UInt8] {
    var result = String.UnicodeScalarView()
    for scalar in text._nfc { result.append(scalar) }
    return Array(String(result).utf8)
  }

  @Test("long runs come out as those do that are put in order one by one", arguments: 1...40 as ClosedRange<UInt64>)
  func order(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var text = String.UnicodeScalarView()
    for _ in 0..<3 {
      text.append(["a", "\u{E9}", "\u{915}", "\u{AC00}", "\u{212B}"].randomElement(using: &generator) ?? "a")
      for _ in 0..<Int.random(in: 0...90, using: &generator) { text.append(Self.marks.randomElement(using: &generator) ?? "\u{301}") }
    }
    #expect(composed(text) == composedSlowly(String(text)))
  }

  @Test func `a million marks on one character are composed in a moment`() {
    var text = String.UnicodeScalarView("a".unicodeScalars)
    for index in 0..<1_000_000 { text.append(index % 2 == 0 ? "\u{301}" : "\u{316}") }
    #expect(composed(text).count == 2_000_000)
  }
}
