import Foundation
import JSON
import TestSupport
import Tokenizers

/// The data that `Scripts/reference` made with the public Python packages.
enum Expected {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()

  static func bytes(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: folder.appendingPathComponent(path)))
  }
  static func json(_ path: String) throws -> JSONValue { try JSONValue(parsing: try bytes(path)) }
  static func text(_ path: String) throws -> String { String(decoding: try bytes(path), as: UTF8.self) }

  static let tokenizerNames = ["gpt2", "gpt2-prefix", "llama3", "qwen2", "smollm", "llama2", "mistral", "gemma"]
  static func tokenizer(_ name: String) throws -> Tokenizer {
    try Tokenizer(tokenizerJSON: try bytes("Expected/tokenizer-\(name).json"))
  }
}

/// Strings are the same when their bytes are; `==` takes two spellings of `é` for one.
func same(_ a: String, _ b: String?) -> Bool { b.map { a.utf8.elementsEqual($0.utf8) } ?? false }

extension SeededGenerator {
  /// Text over all of Unicode, with runs of what tokenizers treat apart.
  mutating func text(maximumCount: Int = 60) -> String {
    let kinds: [ClosedRange<UInt32>] = [
      0x20...0x7E, 0x61...0x7A, 0x30...0x39, 0x09...0x0D, 0x20...0x20, 0x00...0xFF, 0x300...0x36F, 0x400...0x4FF,
      0x3040...0x30FF, 0x4E00...0x9FFF, 0xAC00...0xD7A3, 0x1F300...0x1F6FF, 0x2000...0x206F, 0x0...0x10FFFF,
    ]
    var text = String.UnicodeScalarView()
    for _ in 0..<Int.random(in: 0...maximumCount, using: &self) {
      let kind = kinds.randomElement(using: &self) ?? 0x20...0x7E
      for _ in 0..<Int.random(in: 1...4, using: &self) {
        if let scalar = Unicode.Scalar(UInt32.random(in: kind, using: &self)) { text.append(scalar) }
      }
    }
    return String(text)
  }
}
