import Checkpoints
import JSON
import Safetensors
import Tensors

extension FuzzTarget {
  /// A safetensors file. What is accepted lies inside the data and can be written again to the same tensors.
  static let header = FuzzTarget(name: "header") { file in
    guard file.count >= 8 else { return }
    let size = file[0..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard size <= UInt64(file.count - 8) else { return }
    let json = Array(file[8..<8 + Int(size)])
    guard let header = try? SafetensorsHeader(parsing: unsafe json.span.bytes, fileByteCount: file.count) else { return }
    var end = 0
    for entry in header.entries {
      precondition(entry.range.lowerBound == end && entry.range.count == entry.description.byteCount)
      end = entry.range.upperBound
    }
    precondition(header.dataStart + end == file.count)
    guard
      let again = try? SafetensorsHeader(
        describing: header.entries.map { ($0.name, $0.description) }, metadata: header.optionalMetadata)
    else { preconditionFailure("a header that was read cannot be written") }
    let bytes = again.serialized()
    let body = Array(bytes.dropFirst(8))
    guard let read = try? SafetensorsHeader(parsing: unsafe body.span.bytes, fileByteCount: bytes.count + end) else {
      preconditionFailure("a header that was written cannot be read")
    }
    precondition(read.entries == header.entries && read.optionalMetadata == header.optionalMetadata)
  }

  /// A JSON document. What is accepted can be written and read back the same.
  static let json = FuzzTarget(name: "json") { text in
    guard let value = try? JSONValue(parsing: text, allowsNonFinite: true) else { return }
    for indent in [nil, 2] {
      let again = try? JSONValue(parsing: value.serialized(indent: indent, escapesNonASCII: indent != nil), allowsNonFinite: true)
      precondition(again == value)
    }
  }

  /// The edit of a configuration's text. It changes one member and can be undone.
  static let configText = FuzzTarget(name: "config-text", form: .json) { text in
    guard let before = try? JSONValue(parsing: text, allowsNonFinite: true), var members = before.object else { return }
    guard let marked = try? ConfigText.markedPruned(text), let after = try? JSONValue(parsing: marked, allowsNonFinite: true) else {
      preconditionFailure("the edited text is not JSON")
    }
    let had = members["is_pruned"] != nil
    members["is_pruned"] = true
    precondition(after == .object(members))
    if !had {
      members.removeValue(forKey: "is_pruned")
      guard let undone = try? JSONValue(parsing: try ConfigText.unmarked(marked), allowsNonFinite: true) else {
        preconditionFailure("the text with the edit undone is not JSON")
      }
      precondition(undone == .object(members))
    }
  }
}
