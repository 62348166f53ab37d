import Engines

/// One page, with all it needs in it, that shows how far every weight moved.
struct RefitPage {
  typealias Row = (layer: Int?, module: String, movement: WeightMovement, nonFiniteCount: Int)
  let title: String
  let summary: String
  let rows: [Row]

  private static let style = """
    :root{color-scheme:light dark;--ink:#1b1b1f;--faint:#6b6b76;--paper:#fff;--line:#d9d9e0;--heat:214,69,24}
    @media(prefers-color-scheme:dark){:root{--ink:#ececf1;--faint:#a0a0ac;--paper:#17171b;--line:#3a3a44;--heat:255,138,76}}
    body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;max-width:70rem;padding:0 1rem}
    h1{font-size:1.3rem}p{color:var(--faint)}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
    .scroll{overflow-x:auto}th,td{padding:.15rem .6rem;text-align:right;border-bottom:1px solid var(--line)}
    th:first-child,td:first-child,th:nth-child(2),.names td:nth-child(2){text-align:left}thead th{position:sticky;top:0;background:var(--paper)}
    svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .cell{fill:rgb(var(--heat));stroke:var(--line)}
    svg .none{fill:none;stroke:var(--line);stroke-dasharray:2 2}.bad{color:#c00;font-weight:600}
    @media(prefers-color-scheme:dark){.bad{color:#ff7b7b}}
    """

  var html: String {
    """
    <!doctype html>
    <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
    <title>\(escaped(title))</title><style>\(Self.style)</style></head><body>
    <h1>\(escaped(title))</h1>
    <p>\(escaped(summary))</p>
    <p>A cell is a weight: the stronger its colour, the larger its relative change, ‖new − old‖ / ‖old‖ (Frobenius norms). \
    The scale is logarithmic, from \(Self.number(1e-4)) to \(Self.number(limit)). No colour: not changed.</p>
    <div class="scroll">\(heatMap)</div>
    <h2>All weights</h2><div class="scroll"><table class="names"><thead><tr><th>layer</th><th>weight</th><th>relative change</th>\
    <th>largest change of an element</th><th>NaN or infinite</th></tr></thead><tbody>
    \(rows.map(tableRow).joined(separator: "\n"))
    </tbody></table></div></body></html>

    """
  }

  /// The darkest cell.
  private var limit: Double { max(1e-3, rows.compactMap(\.movement.relative).max() ?? 1) }

  /// Layers downwards, modules across; weights outside of layers in a last row of their own.
  private var heatMap: String {
    var modules: [String] = []
    for row in rows where row.layer != nil && !modules.contains(row.module) { modules.append(row.module) }
    let layers = Set(rows.compactMap(\.layer)).sorted()
    let others = rows.filter { $0.layer == nil }
    let (cell, left, top) = (26, 70, 150)
    let columns = max(modules.count, others.count)
    let height = top + layers.count * cell + (others.isEmpty ? 0 : top + 2 * cell) + 10
    var parts = ["<svg role=\"img\" aria-label=\"change of each weight by layer and module\" width=\"\(left + columns * cell + 260)\" height=\"\(height)\">"]
    func head(_ index: Int, _ name: String, _ y: Int) {
      let x = left + index * cell + cell / 2 + 4
      parts.append("<text x=\"\(x)\" y=\"\(y)\" transform=\"rotate(-55 \(x) \(y))\">\(escaped(name))</text>")
    }
    func draw(_ row: Row, _ column: Int, _ y: Int) {
      let relative = row.movement.relative
      let shape = "x=\"\(left + column * cell)\" y=\"\(y)\" width=\"\(cell - 2)\" height=\"\(cell - 2)\" rx=\"3\""
      let place = row.layer.map { "layer \($0), " } ?? ""
      let label = "<title>\(escaped(place + row.module)): \(relative.map(Self.number) ?? "not a number"), largest \(Self.number(row.movement.largest))</title>"
      guard let relative, row.nonFiniteCount == 0 else {
        parts.append("<rect class=\"none\" \(shape)>\(label)</rect><text class=\"bad\" x=\"\(left + column * cell + 8)\" y=\"\(y + 17)\">!</text>")
        return
      }
      parts.append("<rect class=\"cell\" fill-opacity=\"\(Format.fixed(strength(relative), 3))\" \(shape)>\(label)</rect>")
    }
    for (index, module) in modules.enumerated() { head(index, module, top - 8) }
    for (line, layer) in layers.enumerated() {
      parts.append("<text x=\"4\" y=\"\(top + line * cell + 17)\">layer \(layer)</text>")
      for row in rows where row.layer == layer {
        if let column = modules.firstIndex(of: row.module) { draw(row, column, top + line * cell) }
      }
    }
    let below = top + layers.count * cell + top
    for (index, row) in others.enumerated() {
      head(index, row.module, below - 8)
      draw(row, index, below)
    }
    return parts.joined(separator: "\n") + "</svg>"
  }

  private func strength(_ relative: Double) -> Double {
    guard relative > 0 else { return 0 }
    let decades = Self.log10(limit / 1e-4)
    return max(0.08, min(1, Self.log10(max(relative, 1e-4) / 1e-4) / decades))
  }

  private func tableRow(_ row: Row) -> String {
    "<tr><td>\(row.layer.map(String.init) ?? "")</td><td>\(escaped(row.module))</td><td>\(row.movement.relative.map(Self.number) ?? "–")</td>"
      + "<td>\(Self.number(row.movement.largest))</td><td\(row.nonFiniteCount > 0 ? " class=\"bad\"" : "")>\(row.nonFiniteCount)</td></tr>"
  }

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

  /// Four significant digits, with a power of ten where it helps.
  static func number(_ value: Double) -> String {
    guard value.isFinite else { return "not a number" }
    guard value != 0 else { return "0" }
    var exponent = 0
    var scaled = abs(value)
    while scaled >= 10 { scaled /= 10; exponent += 1 }
    while scaled < 1 { scaled *= 10; exponent -= 1 }
    if (-3...3).contains(exponent) { return (value < 0 ? "-" : "") + Format.fixed(abs(value), 3 - min(0, exponent) ) }
    return (value < 0 ? "-" : "") + Format.fixed(scaled, 3) + "e\(exponent)"
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
