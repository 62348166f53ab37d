import SystemPackage
import TestSupport
import Testing

/// The page that shows how far weights moved.
@Suite struct RefitPageTests {
  private let d = TemporaryDirectory(inMemory: true)

  private func page(adapter: FilePath) throws -> String {
    try Command.convert.succeed("--model_dir", Project.at("Models/tiny").string, "--output_dir", d("ck").string, "--dtype", "float32", "--tp_size", "2")
    try Command.build.succeed("--checkpoint_dir", d("ck").string, "--output_dir", d("e").string)
    try Command.refit.succeed(
      "--engine_dir", d("e").string, "--checkpoint_dir", adapter.string, "--refit_engine_dir", d("out").string, "--report", d("page.html").string)
    return try #require(text(d("page.html")))
  }
  private func rows(_ page: String) -> [[String]] {
    let body = page.components(between: "<tbody>", and: "</tbody>")
    return body.split(separator: "\n").map { line in
      line.split(separator: "<td").dropFirst().map { String($0.drop { $0 != ">" }.dropFirst().prefix { $0 != "<" }) }
    }.filter { !$0.isEmpty }
  }

  @Test func `every weight has a cell and a row, those that moved most first`() throws {
    let page = try page(adapter: Project.at("Models/tiny-lora"))
    let rows = rows(page)
    #expect(rows.count == 4 * 6 + 3, "slices of two ranks are one weight")
    let changes = rows.compactMap { Double($0[2]) }
    #expect(changes.count == rows.count && changes == changes.sorted(by: >) && changes[0] > 0 && changes.last == 0)
    #expect(page.contains("11 did not move"))
    #expect(page.split(separator: "<title>").count - 2 == rows.count, "a cell each, besides the page's own title")
    for layer in 0..<4 { #expect(page.contains("<title>layer \(layer), attention.qkv.weight: ")) }
    #expect(page.contains("<title>vocab_embedding.weight: 0, largest 0</title>"))
  }

  @Test func `the page needs nothing else, and shows names as text`() throws {
    let strange = d("lo<ra> & \"co\"")
    #expect(try Execution.run("/usr/bin/env", ["cp", "-r", Project.at("Models/tiny-lora").string, strange.string]).status == 0)
    let page = try page(adapter: strange)
    #expect(page.contains("lo&lt;ra&gt; &amp; &quot;co&quot;") && !page.contains("lo<ra>"))
    for word in ["<script", "http:", "https:", "src=", "href=", "url(", "@import"] { #expect(!page.contains(word), "\(word)") }
    #expect(page.hasPrefix("<!doctype html>") && page.contains("prefers-color-scheme:dark"))
  }
}

extension String {
  fileprivate func components(between start: String, and end: String) -> String {
    guard let from = firstRange(of: start), let to = self[from.upperBound...].firstRange(of: end) else { return "" }
    return String(self[from.upperBound..<to.lowerBound])
  }
}
