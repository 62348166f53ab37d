extension String {
  /// With control characters as `\u{1b}`: names come out of files, and must not steer a terminal.
  func withControlsSpelt(but kept: Set<Unicode.Scalar> = []) -> String {
    unicodeScalars.reduce(into: "") { text, scalar in
      let isControl = scalar.properties.generalCategory == .control && !kept.contains(scalar)
      text += isControl ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
    }
  }
}
