import Engines

/// One page, with all it needs in it, that shows how far every weight moved.
struct RefitPage {
  typealias Row = (layer: Int?, module: String, movement: WeightMovement, nonFiniteCount: Int)
  let title: String
  let summary: String
  let rows: [Row]

  private static let style = """
    :root{color-scheme:light dark;--ink:#1b1b1f;--faint:#5c5c66;--paper:#fff;--line:#d9d9e0;--heat:#d64518;--bad:#c00}
    @media(prefers-color-scheme:dark){:root{--ink:#ececf1;--faint:#a0a0ac;--paper:#17171b;--line:#3a3a44;--heat:#ff8a4c;--bad:#ff7b7b}}
    body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;max-width:76rem;padding:0 1rem}
    h1{font-size:1.3rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin-top:2rem}p{color:var(--faint);max-width:60rem;overflow-wrap:anywhere}
    table{border-collapse:collapse;font-variant-numeric:tabular-nums}.scroll{overflow-x:auto}
    th,td{padding:.15rem .8rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
    th:nth-child(2),td:nth-child(2){text-align:left}thead th{position:sticky;top:0;background:var(--paper)}.still{color:var(--faint)}
    svg{display:block}svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .small{fill:var(--faint);font-size:11px}
    svg .cell{fill:var(--heat);stroke:var(--line)}svg .none{fill:none;stroke:var(--line)}svg .end{text-anchor:end}svg .mid{text-anchor:middle}
    svg text.bad{fill:var(--bad);font-weight:700}.bad{color:var(--bad);font-weight:600}
    """

  var html: String {
    let still = rows.count { $0.movement.relative == 0 && $0.nonFiniteCount == 0 }
    return """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
      <title>\(escaped(title))</title><style>\(Self.style)</style></head><body>
      <h1>\(escaped(title))</h1>
      <p>\(escaped(summary))</p>
      <p>A cell is a weight: layers across, modules downwards. The stronger its colour, the larger its relative change, \
      ‖new − old‖ / ‖old‖ (Frobenius norms), on a logarithmic scale. Point at a cell for its numbers.</p>
      <div class="scroll">\(heatMap)</div>
      \(legend)
      <h2>All \(rows.count) weights, those that moved most first; \(still) did not move</h2>
      <div class="scroll"><table><thead><tr><th>layer</th><th>weight</th><th>relative change</th>\
      <th>largest change of an element</th><th>NaN or infinite</th></tr></thead><tbody>
      \(sorted.map(tableRow).joined(separator: "\n"))
      </tbody></table></div></body></html>

      """
  }

  /// What is wrong first, then by how far it moved, then in the model's order.
  private var sorted: [Row] {
    func key(_ row: Row) -> Double { row.nonFiniteCount > 0 ? .infinity : row.movement.relative ?? .infinity }
    return rows.enumerated().sorted { (-key($0.element), $0.offset) < (-key($1.element), $1.offset) }.map(\.element)
  }

  // MARK: Colours

  /// The strongest colour stands for the largest change, the weakest for the smallest or a tenth of that.
  private var scale: (low: Double, high: Double) {
    let moved = rows.compactMap(\.movement.relative).filter { $0 > 0 && $0.isFinite }
    let high = moved.max() ?? 1
    return (max(high * 1e-6, min(moved.min() ?? 1, high / 10)), high)
  }
  private func strength(_ relative: Double) -> Double {
    guard relative > 0 else { return 0 }
    let (low, high) = scale
    return 0.1 + 0.9 * max(0, min(1, Self.log10(relative / low) / Self.log10(high / low)))
  }

  private var legend: String {
    let (low, high) = scale
    let steps = 24
    var parts = ["<svg role=\"img\" aria-label=\"colours and what they stand for\" width=\"560\" height=\"46\">"]
    for step in 0..<steps {
      let opacity = Format.fixed(0.1 + 0.9 * Double(step) / Double(steps - 1), 3)
      parts.append("<rect class=\"cell\" stroke-width=\"0\" fill-opacity=\"\(opacity)\" x=\"\(8 + step * 10)\" y=\"4\" width=\"10\" height=\"16\"/>")
    }
    for (x, value, align) in [(8, low, ""), (128, (low * high).squareRoot(), " mid"), (248, high, " end")] {
      parts.append("<text class=\"small\(align)\" x=\"\(x)\" y=\"36\">\(Self.number(value))</text>")
    }
    parts.append("<rect class=\"none\" x=\"280\" y=\"4\" width=\"16\" height=\"16\" rx=\"3\"/><text x=\"304\" y=\"17\">not changed</text>")
    parts.append("<rect class=\"none\" x=\"400\" y=\"4\" width=\"16\" height=\"16\" rx=\"3\"/><text class=\"bad mid\" x=\"408\" y=\"17\">!</text><text x=\"424\" y=\"17\">NaN or infinite</text>")
    return parts.joined(separator: "\n") + "</svg>"
  }

  // MARK: Heat map

  /// A row for each module of the layers, then one for each weight outside of them.
  private var heatMap: String {
    var modules: [String] = []
    for row in rows where row.layer != nil && !modules.contains(row.module) { modules.append(row.module) }
    let layers = Set(rows.compactMap(\.layer)).sorted()
    let columns = Dictionary(uniqueKeysWithValues: layers.enumerated().map { ($1, $0) })
    let others = rows.filter { $0.layer == nil }
    let cell = 24, top = layers.isEmpty ? 4 : 28
    let left = 16 + 7 * ((modules + others.map { Self.name($0.module) }).map(\.count).max() ?? 0)
    let lines = modules.count + others.count
    var parts = [
      "<svg role=\"img\" aria-label=\"change of each weight by layer and module\" width=\"\(left + max(1, layers.count) * cell + 8)\" "
        + "height=\"\(top + lines * cell + (others.isEmpty ? 0 : 12) + 8)\">"
    ]
    func label(_ text: String, _ y: Int) {
      parts.append("<text class=\"end\" x=\"\(left - 8)\" y=\"\(y + 16)\">\(escaped(text))</text>")
    }
    func draw(_ row: Row, _ column: Int, _ y: Int) {
      let x = left + column * cell
      let shape = "x=\"\(x)\" y=\"\(y)\" width=\"\(cell - 3)\" height=\"\(cell - 3)\" rx=\"3\""
      let relative = row.movement.relative
      let place = row.layer.map { "layer \($0), " } ?? ""
      let numbers = "\(relative.map(Self.number) ?? "not a number"), largest \(Self.number(row.movement.largest))"
      let wrong = row.nonFiniteCount > 0 ? ", \(row.nonFiniteCount) NaN or infinite" : ""
      let tip = "<title>\(escaped(place + Self.name(row.module))): \(numbers)\(wrong)</title>"
      if let relative, row.nonFiniteCount == 0 {
        let fill = relative > 0 ? "class=\"cell\" fill-opacity=\"\(Format.fixed(strength(relative), 3))\"" : "class=\"none\" pointer-events=\"all\""
        parts.append("<rect \(fill) \(shape)>\(tip)</rect>")
      } else {
        parts.append("<rect class=\"none\" pointer-events=\"all\" \(shape)>\(tip)</rect>")
        parts.append("<text class=\"bad mid\" x=\"\(x + cell / 2 - 1)\" y=\"\(y + 16)\">!</text>")
      }
    }
    for (column, layer) in layers.enumerated() {
      parts.append("<text class=\"small mid\" x=\"\(left + column * cell + cell / 2 - 1)\" y=\"20\">\(layer)</text>")
    }
    for (line, module) in modules.enumerated() {
      label(module, top + line * cell)
      for row in rows where row.module == module {
        if let layer = row.layer, let column = columns[layer] { draw(row, column, top + line * cell) }
      }
    }
    for (line, row) in others.enumerated() {
      let y = top + (modules.count + line) * cell + (modules.isEmpty ? 0 : 12)
      label(Self.name(row.module), y)
      draw(row, 0, y)
    }
    return parts.joined(separator: "\n") + "</svg>"
  }

  /// Without what all weights outside of the layers begin with.
  private static func name(_ module: String) -> String {
    module.hasPrefix("transformer.") ? String(module.dropFirst("transformer.".count)) : module
  }

  private func tableRow(_ row: Row) -> String {
    let isStill = row.movement.relative == 0 && row.nonFiniteCount == 0
    return "<tr\(isStill ? " class=\"still\"" : "")><td>\(row.layer.map(String.init) ?? "")</td><td>\(escaped(Self.name(row.module)))</td>"
      + "<td>\(row.movement.relative.map(Self.number) ?? "–")</td><td>\(Self.number(row.movement.largest))</td>"
      + "<td\(row.nonFiniteCount > 0 ? " class=\"bad\"" : "")>\(row.nonFiniteCount)</td></tr>"
  }

  // MARK: Numbers

  /// Decimal logarithm to a few digits, by halving: enough for a colour.
  private static func log10(_ value: Double) -> Double {
    guard value > 0, value.isFinite else { return 0 }
    var mantissa = value.significand
    var result = Double(value.exponent)
    var bit = 0.5
    for _ in 0..<20 {
      mantissa *= mantissa
      if mantissa >= 2 { mantissa /= 2; result += bit }
      bit /= 2
    }
    return result * 0.301_029_995_663_981_2
  }

  /// Three significant digits, with a power of ten where it helps.
  static func number(_ value: Double) -> String {
    guard value.isFinite else { return "not a number" }
    guard value != 0 else { return "0" }
    var exponent = 0
    var scaled = abs(value)
    while scaled >= 10 { scaled /= 10; exponent += 1 }
    while scaled < 1 { scaled *= 10; exponent -= 1 }
    let sign = value < 0 ? "-" : ""
    if (-3...2).contains(exponent) { return sign + Format.fixed(abs(value), 2 - exponent) }
    return sign + Format.fixed(scaled, 2) + "e\(exponent)"
  }

  private func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
    return result
  }
}
