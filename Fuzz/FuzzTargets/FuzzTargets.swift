import Checkpoints
import JSON
import Safetensors
import Tensors

/// libFuzzer's entry. The first byte chooses the parser, the rest is what it reads.
///
/// Crashing is the failure that libFuzzer sees by itself; beyond that, each parser states what must hold of an input
/// that it accepts.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let start = unsafe start, count > 0 else { return 0 }
  let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  let input = Array(bytes.dropFirst())
  switch bytes[0] % 4 {
  case 0: fuzzHeader(input)
  case 1: fuzzJSON(input)
  case 2: fuzzConfig(input)
  default: fuzzConfigText(input)
  }
  return 0
}

/// A safetensors file. What is accepted lies inside the data and can be written again to the same tensors.
private func fuzzHeader(_ file: [UInt8]) {
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
private func fuzzJSON(_ text: [UInt8]) {
  guard let value = try? JSONValue(parsing: text, allowsNonFinite: true) else { return }
  for indent in [nil, 2] {
    let again = try? JSONValue(parsing: value.serialized(indent: indent, escapesNonASCII: indent != nil), allowsNonFinite: true)
    precondition(again == value)
  }
}

/// A configuration. Whatever its numbers, ranks and layers can be asked for.
private func fuzzConfig(_ text: [UInt8]) {
  guard let json = try? JSONValue(parsing: text, allowsNonFinite: true), let config = try? CheckpointConfig(parsing: json)
  else { return }
  let mapping = config.mapping
  precondition(mapping.worldSize >= 1 && mapping.fileCount >= 1)
  let last = mapping.worldSize - 1
  precondition((0..<mapping.fileCount).contains(mapping.fileIndex(last)))
  let layers = mapping.layers(ofStage: mapping.pipelineRank(of: last), layerCount: config.layerCount)
  precondition(layers.upperBound == config.layerCount && config.rotaryDimension <= config.headSize)
}

/// The edit of a configuration's text. It changes one member and can be undone.
private func fuzzConfigText(_ text: [UInt8]) {
  guard let before = try? JSONValue(parsing: text, allowsNonFinite: true), var members = before.object else { return }
  let marked = ConfigText.markedPruned(text)
  guard let after = try? JSONValue(parsing: marked, allowsNonFinite: true) else {
    preconditionFailure("the edited text is not JSON")
  }
  let had = members["is_pruned"] != nil
  members["is_pruned"] = true
  precondition(after == .object(members))
  if !had {
    members.removeValue(forKey: "is_pruned")
    guard let undone = try? JSONValue(parsing: ConfigText.unmarked(marked), allowsNonFinite: true) else {
      preconditionFailure("the text with the edit undone is not JSON")
    }
    precondition(undone == .object(members))
  }
}
