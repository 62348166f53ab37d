import JSON
import OrderedCollections
public import SystemPackage
import Tensors

extension SafetensorsHeader {
  /// Checks and reads a header.
  ///
  /// - Parameters:
  ///   - json: The header's bytes, padding included, without the 8 bytes of size.
  ///   - fileByteCount: Size of the whole file.
  ///   - path: For messages.
  /// - Throws: ``SafetensorsError`` for anything that the format forbids.
  public init(parsing json: RawSpan, fileByteCount: Int, path: FilePath = "header") throws(SafetensorsError) {
    func failed(_ problem: SafetensorsError.Problem) -> SafetensorsError { SafetensorsError(path, problem) }
    guard json.byteCount <= Self.byteLimit else { throw failed(.headerTooLarge(byteCount: UInt64(json.byteCount))) }
    let dataStart = 8 + json.byteCount
    guard dataStart <= fileByteCount else {
      throw failed(.headerBeyondEnd(headerByteCount: json.byteCount, fileByteCount: fileByteCount))
    }
    let parser = HeaderParser(path: path)
    let (metadata, written) = try parser.members(of: parser.object(json))
    // Data order. Sorting by both ends puts an empty tensor before the one that starts where it lies.
    let order = written.indices.sorted {
      let (one, other) = (written[$0].range, written[$1].range)
      return (one.lowerBound, one.upperBound, $0) < (other.lowerBound, other.upperBound, $1)
    }
    let entries = order.map { written[$0] }
    var end = 0
    for entry in entries {
      let begin = entry.range.lowerBound
      guard begin == end else {
        throw failed(
          begin > end
            ? .hole(tensor: entry.name, expected: end, begin: begin)
            : .overlap(tensor: entry.name, expected: end, begin: begin))
      }
      end = entry.range.upperBound
    }
    guard end == fileByteCount - dataStart else {
      throw failed(.dataSize(declared: end, actual: fileByteCount - dataStart))
    }
    var headerOrder = [Int](repeating: 0, count: order.count)
    var places = [String: Int](minimumCapacity: order.count)
    for (place, index) in order.enumerated() {
      headerOrder[index] = place
      places[entries[place].name] = place
    }
    self.init(entries: entries, headerOrder: headerOrder, metadata: metadata, dataStart: dataStart, places: places)
  }
}

/// Reads the members of one header; knows nothing of how tensors lie beside each other.
private struct HeaderParser {
  let path: FilePath
  func failed(_ problem: SafetensorsError.Problem) -> SafetensorsError { SafetensorsError(path, problem) }

  /// The header's one JSON object, after which only spaces may stand.
  func object(_ json: RawSpan) throws(SafetensorsError) -> JSONObject {
    func byte(_ index: Int) -> UInt8 { unsafe json.unsafeLoadUnaligned(fromByteOffset: index, as: UInt8.self) }
    guard json.byteCount > 0, byte(0) == UInt8(ascii: "{") else { throw failed(.headerNotAnObject) }
    var end = json.byteCount
    while end > 1, byte(end - 1) == UInt8(ascii: " ") { end -= 1 }
    let last = byte(end - 1)
    if last == 0 || last == 0x09 || last == 0x0A || last == 0x0D { throw failed(.headerPadding(byte: last)) }
    let value: JSONValue
    do throws(JSONError) {
      // Header, tensor, shape: three levels are all there are.
      value = try JSONValue(parsing: json.extracting(0..<end), maximumDepth: 3)
    } catch { throw failed(.json(error)) }
    guard case .object(let members) = value else { throw failed(.headerNotAnObject) }
    return members
  }

  func members(
    of header: JSONObject
  ) throws(SafetensorsError) -> (OrderedDictionary<String, String>?, [SafetensorsHeader.Entry]) {
    var metadata: OrderedDictionary<String, String>?
    var entries: [SafetensorsHeader.Entry] = []
    entries.reserveCapacity(header.count)
    for (name, value) in header {
      if name == "__metadata__" { metadata = try notes(value) } else { entries.append(try entry(name, value)) }
    }
    return (metadata, entries)
  }

  func notes(_ value: JSONValue) throws(SafetensorsError) -> OrderedDictionary<String, String> {
    guard case .object(let members) = value else {
      throw failed(.field(tensor: "__metadata__", reason: "expected an object, found \(value.kind)"))
    }
    var notes = OrderedDictionary<String, String>(minimumCapacity: members.count)
    for (key, value) in members {
      guard case .string(let text) = value else {
        throw failed(.field(tensor: "__metadata__", reason: "the value of '\(key)' should be a string, but is \(value.kind)"))
      }
      notes[key] = text
    }
    return notes
  }

  func entry(_ name: String, _ value: JSONValue) throws(SafetensorsError) -> SafetensorsHeader.Entry {
    guard case .object(let members) = value else {
      throw failed(.field(tensor: name, reason: "expected an object, found \(value.kind)"))
    }
    for key in members.keys where !["dtype", "shape", "data_offsets"].contains(key) {
      throw failed(.field(tensor: name, reason: "unknown field '\(key)'"))
    }
    guard let typeName = members["dtype"]?.string else {
      throw failed(.field(tensor: name, reason: "'dtype' is missing or not a string"))
    }
    guard let type = ElementType(rawValue: typeName) else { throw failed(.unknownElementType(tensor: name, name: typeName)) }
    let shape = try counts(members["shape"], field: "shape", tensor: name)
    let offsets = try counts(members["data_offsets"], field: "data_offsets", tensor: name)
    guard offsets.count == 2 else {
      throw failed(.field(tensor: name, reason: "'data_offsets' has \(offsets.count) numbers instead of 2"))
    }
    guard offsets[0] <= offsets[1] else {
      throw failed(.reversedOffsets(tensor: name, begin: offsets[0], end: offsets[1]))
    }
    guard let needed = TensorDescription.checkedByteCount(shape: shape, elementType: type) else {
      throw failed(.shape(tensor: name, shape: shape))
    }
    let range = offsets[0]..<offsets[1]
    guard range.count == needed else { throw failed(.extent(tensor: name, declared: range, needed: needed)) }
    return .init(name: name, description: TensorDescription(shape: shape, elementType: type), range: range)
  }

  /// An array of whole numbers from 0 up, spelled in digits.
  func counts(_ value: JSONValue?, field: String, tensor: String) throws(SafetensorsError) -> [Int] {
    guard case .array(let elements)? = value else {
      throw failed(.field(tensor: tensor, reason: "'\(field)' is missing or not an array"))
    }
    var counts: [Int] = []
    counts.reserveCapacity(elements.count)
    for element in elements {
      guard case .number(let number) = element, number.text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
        let count = Int(number.text)
      else { throw failed(.field(tensor: tensor, reason: "'\(field)' holds something other than whole numbers from 0 to 2^63 - 1")) }
      counts.append(count)
    }
    return counts
  }
}
