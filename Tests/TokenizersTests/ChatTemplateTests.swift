import JSON
import TestSupport
import Testing
import Tokenizers

@Suite struct ChatTemplateTests {
  /// The clock of the expected results.
  static let clock = CalendarTime(year: 2024, month: 7, day: 6, hour: 15, minute: 4, second: 9)

  func render(_ source: String, _ values: JSONValue) throws -> String {
    var extra: [String: JSONValue] = [:]
    for (name, value) in values.object ?? [:] where !["messages", "tools", "add_generation_prompt"].contains(name) {
      extra[name] = value
    }
    return try ChatTemplate(source: source).render(
      messages: values["messages"]?.array ?? [], tools: values["tools"],
      addGenerationPrompt: values["add_generation_prompt"]?.bool ?? false, extra: extra, now: Self.clock)
  }

  @Test func `templates in the styles of published ones give what transformers gives`() throws {
    let expected = try Expected.json("Expected/chat-templates.json")
    let cases = try #require(expected["styles"]?.array)
    #expect(cases.count >= 36)
    for item in cases {
      let file = try #require(item["file"]?.string)
      let name = try #require(item["conversation"]?.string)
      let values = try #require(expected["conversations"]?[name])
      let source = try Expected.text("Templates/" + file)
      if let text = item["text"]?.string {
        #expect(same(try render(source, values), text), "\(file), \(name)")
      } else {
        #expect(throws: TemplateError.self, "\(file), \(name)") { try render(source, values) }
      }
    }
  }

  @Test func `every part of the language gives what Jinja gives`() throws {
    let expected = try Expected.json("Expected/chat-templates.json")
    let values = try #require(expected["values"])
    let cases = try #require(expected["small"]?.array)
    #expect(cases.count >= 90)
    for item in cases {
      let source = try #require(item["template"]?.string)
      guard let text = item["text"]?.string else {
        #expect(throws: TemplateError.self, "\(source)") { try render(source, values) }
        continue
      }
      let got = try render(source, values)
      guard !same(got, text) else { continue }
      // Show the part between bars that differs.
      for (got, wanted) in zip(got.split(separator: "|"), text.split(separator: "|")) where got != wanted {
        Issue.record("\(got.debugDescription) should be \(wanted.debugDescription)")
      }
      Issue.record("\(source) differs")
    }
  }

  @Test(arguments: [
    ("a\nb\n{{ nope.x }}", 3, "'nope' is not defined"),
    ("{% if x %}\n\nx", 3, "'endif' is missing"),
    ("\n{{ 'a' | uper }}", 2, "no filter 'uper'; did you mean 'upper'?"),
    ("{{ 1 is defned }}", 1, "no test 'defned'; did you mean 'defined'?"),
    ("{% fro x in y %}{% endfor %}", 1, "no tag 'fro'; did you mean 'for'?"),
    ("\n\n{% set x = 'abc %}", 3, "the string that starts here is not closed"),
    ("{{ x", 1, "not closed with '}}'"),
    ("{# x", 1, "not closed with '#}'"),
    ("{% raw %}x", 1, "'endraw'"),
    ("{{ (1, 2] }}", 1, "']' closes no '['"),
    ("{{ 1 ? 2 }}", 1, "'?' has no meaning"),
    ("{{ 99999999999999999999 }}", 1, "too large"),
    ("{{ 9223372036854775807 + 1 }}", 1, "64 bits"),
    ("{% set m = [] %}{{ m.append(1) }}", 1, "would change a list"),
    ("{% set m = {} %}{{ m.update({}) }}", 1, "would change a dictionary"),
    ("{% set m.x = 1 %}", 1, "no namespace"),
    ("{% import 'x' as y %}", 1, "'import' has no place"),
    ("{% for x in [] recursive %}{% endfor %}", 1, "recursive"),
    ("{% break %}", 1, "stand in no loop"),
    ("{{ f(*x) }}", 1, "spreading"),
    ("{{ 'a' | trim(1, 2) }}", 1, "should be a text"),
    ("{{ 'a' | upper(1) }}", 1, "does not take"),
    ("{{ strftime_now('%Q') }}", 1, "%Q"),
  ])
  func `an error names the line and what is wrong`(source: String, line: Int, words: String) {
    do {
      let text = try render(source, [:])
      Issue.record("gave \(text.debugDescription)")
    } catch {
      let error = error as? TemplateError
      #expect(error?.line == line, "\(String(describing: error))")
      #expect(error?.description.contains(words) == true, "\(String(describing: error))")
    }
  }

  @Test func `raise_exception is told from other errors`() {
    #expect(throws: TemplateError(line: 1, problem: .raised("alternate!"))) { try render("{{ raise_exception('alternate!') }}", [:]) }
  }

  /// Templates that try to run for ever, fill memory or overflow the stack.
  @Test(arguments: [
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "{% for a in range(100001) %}{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for i in range(64) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for i in range(64) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(64) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(64) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(64) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(64) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
    "{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}",
    "{% set ns = namespace(x=none) %}{% for i in range(100000) %}{% set ns.x = namespace(x=ns.x) %}{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for i in range(64) %}{% set ns.x = ns.x | replace('a', ns.x) %}{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for i in range(64) %}{% set ns.x = [ns.x, ns.x] | join(ns.x) %}{% endfor %}",
    "{{ 'a'.ljust(2305843009213693951) }}", "{{ [1] * 9223372036854775807 }}", "{{ [1] | batch(9223372036854775807, 'x') }}",
    "{% set x = [1] * 9 %}{{ x * 1024819115206086200 }}", "{{ -(-9223372036854775807 - 1) }}", "{{ (-9223372036854775807 - 1) // -1 }}",
    "{{ (-9223372036854775807 - 1) | abs }}", "{{ 'a' * 10000000000 }}", "{{ [1] * 10000000000 }}", "{{ 'a'.ljust(10000000000) }}", "{{ [1] | tojson(indent=10000000000) }}",
    "{{ 'a\nb' | indent(10000000000) }}", "{{ 9 ** 99 }}",
    "{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f(x) %}{% call f(x) %}{{ caller() }}{% endcall %}{% endmacro %}{{ f(1) }}",
    "{% macro f(x=f()) %}{% endmacro %}{{ f() }}",
    "{% macro f() %}{% set x %}{% for i in [1] %}{% if true %}{{ [f()] | map('upper') | join }}{% endif %}{% endfor %}{% endset %}{% endmacro %}{{ f() }}",
  ])
  func `no template runs for ever, fills memory or overflows the stack`(source: String) {
    do {
      let text = try render(source, [:])
      Issue.record("gave \(text.utf8.count) bytes")
    } catch {
      guard case .limit? = (error as? TemplateError)?.problem else {
        Issue.record("\(error)")
        return
      }
    }
  }

  @Test(arguments: ["(", "[", "-", "not ", "x + ", "x.x[", "x|trim(", "x if x else ", "x(", "{'a':", "1 ~ (", "x and x or ", "x is x("])
  func `deep nesting is refused before it is walked`(repeated: String) {
    let source = "{{ " + String(repeating: repeated, count: 50_000) + "x }}"
    #expect(throws: TemplateError.self) { try ChatTemplate(source: source) }
  }

  @Test(arguments: [" + 1", ".x", "|trim", " ~ 'x'", "[0]", "()", " or x", " is x", " ** 2", " if x"])
  func `long chains are refused before they are walked`(repeated: String) {
    let source = "{{ x" + String(repeating: repeated, count: 50_000) + " }}"
    #expect(throws: TemplateError.self) { try ChatTemplate(source: source) }
  }

  @Test func `deep blocks and long sources are refused`() {
    #expect(throws: TemplateError.self) { try ChatTemplate(source: String(repeating: "{% if x %}", count: 50_000)) }
    #expect(throws: TemplateError.self) { try ChatTemplate(source: String(repeating: " ", count: 2 << 20)) }
  }

  @Test func `numbers at the ends of their range never crash`() throws {
    let source = """
      {% set least = -9223372036854775807 - 1 %}{% set most = 9223372036854775807 %}
      {{ 'ab'[least:most] }}{{ 'ab'[most:least:least] }}{{ 'ab'[::most] }}{{ 'ab'[least] }}{{ [1][most] }}{{ 'a'.center(least) }}
      {{- 'a'.split('b', least) | length }}{{ 'a' * least }}{{ [1] * least }}{{ 'a' | indent(least) }}{{ least is divisibleby(-1) }}
      {{- range(least, least + 2) | length }}{{ range(most, most - 2, least) | length }}{{ [1] | batch(most) | length }}{{ least is odd }}
      {{- most | float }}{{ 1e308 * 10 }}{{ (1e308 * 10) | int }}{{ 'a'.replace('a', 'b', least) }}{{ [1] | tojson(indent=least) }}
      """
    #expect(try render(source, [:]).contains("9.223372036854776e+18"))
  }

  @Test func `sources at random never crash`() throws {
    var numbers = SeededGenerator(seed: 4)
    let parts = [
      "{{ ", " }}", "{% ", " %}", "{%- ", " -%}", "{#", "#}", "if ", "else", "elif ", "endif", "for ", "in ", "endfor", "set ", "endset",
      "macro ", "endmacro", "x", "y", "messages", "loop", "range(3)", "'a'", "\"", "1", "-", "+", "~", "|", "trim", "tojson", "is ", "defined",
      "(", ")", "[", "]", "{", "}", ".", ",", ":", "=", "==", "not ", "and ", "\n", " ", "é",
    ]
    var rendered = 0
    for _ in 0..<4000 {
      var source = ""
      for _ in 0..<Int.random(in: 1...14, using: &numbers) { source += parts.randomElement(using: &numbers) ?? "" }
      if (try? render(source, ["messages": [["role": "user", "content": "x"]]])) != nil { rendered += 1 }
    }
    #expect(rendered > 100 && rendered < 4000)
  }

  @Test func `the calendar agrees with known days`() throws {
    func written(_ time: CalendarTime) throws -> String {
      try ChatTemplate(source: "{{ strftime_now('%A %-d %B %Y, day %j, %I:%M %p') }}").render(messages: [], now: time)
    }
    #expect(try written(CalendarTime(year: 2000, month: 2, day: 29)) == "Tuesday 29 February 2000, day 060, 12:00 AM")
    #expect(try written(CalendarTime(year: 1970, month: 1, day: 1, hour: 12)) == "Thursday 1 January 1970, day 001, 12:00 PM")
    #expect(try written(CalendarTime(year: 2024, month: 12, day: 31, hour: 23, minute: 59)) == "Tuesday 31 December 2024, day 366, 11:59 PM")
    #expect(CalendarTime.current().year >= 2024)
  }
}
