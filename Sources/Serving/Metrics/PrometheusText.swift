/// Writes Prometheus' text format, version 0.0.4.
struct PrometheusText {
  private(set) var text = ""

  mutating func gauge(_ name: String, _ help: String, _ value: Double, labels: [(String, String)] = []) {
    head(name, help, type: "gauge")
    sample(name, labels, value)
  }

  mutating func counter(_ name: String, _ help: String, _ value: Int) {
    counters(name, help, [([], value)])
  }

  mutating func counters(_ name: String, _ help: String, _ samples: [(labels: [(String, String)], value: Int)]) {
    head(name, help, type: "counter")
    for (labels, value) in samples { sample(name, labels, Double(value)) }
  }

  mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
    head(name, help, type: "histogram")
    let snapshot = histogram.snapshot
    var total = 0
    for (place, count) in snapshot.counts.enumerated() {
      total += count
      let bound = place < histogram.bounds.count ? Self.number(histogram.bounds[place]) : "+Inf"
      sample(name + "_bucket", [("le", bound)], Double(total))
    }
    sample(name + "_sum", [], snapshot.sum)
    sample(name + "_count", [], Double(total))
  }

  private mutating func head(_ name: String, _ help: String, type: String) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
  }

  private mutating func sample(_ name: String, _ labels: [(String, String)], _ value: Double) {
    text += name
    if !labels.isEmpty {
      text += "{" + labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",") + "}"
    }
    text += " \(Self.number(value))\n"
  }

  private static func number(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 0x1p53 ? String(Int(value)) : value.description
  }

  private static func escaped(_ label: String) -> String {
    var text = ""
    for character in label.unicodeScalars {
      switch character {
      case "\\": text += "\\\\"
      case "\"": text += "\\\""
      case "\n": text += "\\n"
      default: text.unicodeScalars.append(character)
      }
    }
    return text
  }
}
