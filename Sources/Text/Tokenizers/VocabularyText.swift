/// Makes the members of `model.vocab` in the bytes of a tokenizer.json an array: `{"a":0,"b":1}` to `["a",0,"b",1]`.
///
/// An object's keys are `String`s, for which two spellings of one character (`ά` as U+03AC and as U+1F71) are the
/// same key. Vocabularies hold both. An array also needs no hash table, so a large vocabulary loads faster.
///
/// - Returns: False where there is no such object; the bytes are then as they were. What is not JSON stays so.
func flattenVocabulary(in bytes: inout [UInt8]) -> Bool {
  let wanted = ["model", "vocab"].map { Array($0.utf8) }
  var matched = 0  // how many of the wanted keys lead to where we are
  var depth = 0
  var lastString: Range<Int> = 0..<0
  var isKey = false  // a wanted key was read, and its value comes next
  var flattening = false
  var index = 0
  while index < bytes.count {
    switch bytes[index] {
    case UInt8(ascii: "\""):
      let start = index + 1
      index = start
      while index < bytes.count, bytes[index] != UInt8(ascii: "\"") { index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1 }
      lastString = start..<max(start, min(index, bytes.count))
    case UInt8(ascii: ":"):
      if flattening { bytes[index] = UInt8(ascii: ",") } else if depth == matched + 1, matched < 2 {
        isKey = bytes[lastString] == wanted[matched][...]
      }
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      guard !flattening else { return true }  // no vocabulary; reading it will say so
      depth += 1
      if isKey {
        guard bytes[index] == UInt8(ascii: "{") else { return false }
        matched += 1
        isKey = false
        if matched == 2 {
          bytes[index] = UInt8(ascii: "[")
          flattening = true
        }
      }
    case UInt8(ascii: "}"), UInt8(ascii: "]"):
      if flattening {
        bytes[index] = UInt8(ascii: "]")
        return true
      }
      depth -= 1
      if depth <= matched { return false }  // the model ended without a vocabulary
    case UInt8(ascii: ","): isKey = false
    default: break
    }
    index += 1
  }
  return false
}
