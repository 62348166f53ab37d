import Files
import Tensors

/// Everything in front of a GGUF file's data, checked: nothing here points outside the file.
///
/// Source of the format: the GGUF specification in the ggml repository (docs/gguf.md).
struct GGUFHeader {
  struct Tensor {
    let name: String
    /// Outermost first, so `[rows, columns]` for a matrix; the file lists extents innermost first.
    let shape: [Int]
    let type: GGUFTensorType
    /// Byte offset in the file, not in the data section.
    let offset: Int
    /// Elements of the innermost dimension's blocks times block size: bytes of one row of `columns` elements.
    let rowByteCount: Int
    /// Which of the model's files holds it.
    var part = 0
    /// Of all its numbers.
    var byteCount: Int { shape.dropLast().reduce(rowByteCount, *) }
  }
  var metadata: [String: GGUFValue] = [:]
  /// In the file's order.
  var tensors: [Tensor] = []
  /// Where the data of the last tensor ends, padding included.
  private(set) var dataEnd = 0

  private static let maximumNameByteCount = 65535
  /// More than any vocabulary's; bounds what a hostile file can make us allocate.
  private static let maximumArrayCount = 1 << 23

  init(reading file: ReadableFile) throws(GGUFError) {
    var cursor = GGUFCursor(file)
    let (tensorCount, valueCount) = try Self.start(&cursor)
    for _ in 0..<valueCount {
      let start = cursor.offset
      let key = try cursor.string("a metadata key", limit: Self.maximumNameByteCount)
      let value = try Self.value(of: key, &cursor)
      guard metadata.updateValue(value, forKey: key) == nil else {
        throw cursor.failed(.duplicate(what: "metadata key", name: key), at: start)
      }
    }
    let alignment = try alignment(cursor)
    var infos: [Info] = []
    var seen: Set<String> = []
    for _ in 0..<tensorCount {
      let info = try Info(&cursor)
      guard seen.insert(info.name).inserted else {
        throw cursor.failed(.duplicate(what: "tensor", name: info.name), at: info.start)
      }
      infos.append(info)
    }
    let (padded, overflow) = cursor.offset.addingReportingOverflow(alignment - 1)
    let dataStart = overflow ? file.byteCount : padded / alignment * alignment
    dataEnd = dataStart
    for info in infos {
      let (tensor, end) = try info.placed(dataStart: dataStart, alignment: alignment, fileByteCount: file.byteCount, cursor)
      tensors.append(tensor)
      let (padded, overflow) = end.addingReportingOverflow(alignment - 1)
      dataEnd = max(dataEnd, overflow ? end : padded / alignment * alignment)
    }
    // Two names for the same bytes: one of them has another tensor's numbers.
    let ordered = zip(tensors, infos).sorted { $0.0.offset < $1.0.offset }
    for (first, second) in zip(ordered, ordered.dropFirst()) where second.0.offset < first.0.offset + first.0.byteCount {
      throw cursor.failed(.overlap(tensor: second.0.name, other: first.0.name), at: second.1.start)
    }
  }

  /// Magic, version and the two counts.
  private static func start(_ cursor: inout GGUFCursor) throws(GGUFError) -> (tensors: Int, values: Int) {
    guard cursor.remaining >= 4, try cursor.integer(UInt32.self) == 0x4655_4747 else { throw cursor.failed(.notGGUF, at: 0) }
    let version: UInt32 = try cursor.integer()
    if version != 0, version & 0xFFFF == 0 { throw cursor.failed(.bigEndian, at: 4) }
    guard version == 2 || version == 3 else { throw cursor.failed(.unsupportedVersion(version), at: 4) }
    // The smallest tensor entry: an empty name, no extents, type, offset. The smallest value: an empty key, type, a byte.
    let tensors = try cursor.count("the number of tensors", minimumByteCount: 24)
    let values = try cursor.count("the number of metadata values", minimumByteCount: 13)
    return (tensors, values)
  }

  /// What a file says that it is, read no further than that: one of many in a directory.
  enum Kind: Equatable {
    case model
    case adapter
    /// Something that goes with a model: a projector, an importance matrix, a control vector.
    case companion
  }

  /// - Throws: ``GGUFError`` where the beginning of the file is damaged; what follows is not looked at.
  static func kind(of file: ReadableFile) throws(GGUFError) -> Kind {
    var cursor = GGUFCursor(file, windowByteCount: 1 << 14)
    let (_, valueCount) = try start(&cursor)
    for _ in 0..<valueCount {
      let key = try cursor.string("a metadata key", limit: maximumNameByteCount)
      if key.hasPrefix("tokenizer.") { return .model }  // after what describes the file; adapters have none
      let value = try value(of: key, &cursor)
      switch (key, value.string) {
      case ("general.type", "adapter"): return .adapter
      case ("general.type", "mmproj"), ("general.type", "imatrix"): return .companion
      case ("general.type", .some): return .model
      case ("general.architecture", "clip"), ("general.architecture", "imatrix"), ("general.architecture", "controlvector"): return .companion
      default: break
      }
    }
    // Neither says what it is nor has a vocabulary: its tensors tell.
    return try GGUFHeader(reading: file).tensors.contains { $0.name.hasSuffix(AdapterTensorName.ggufDown) } ? .adapter : .model
  }

  private func alignment(_ cursor: GGUFCursor) throws(GGUFError) -> Int {
    guard let value = metadata["general.alignment"] else { return 32 }
    guard case .integer(let alignment) = value, (8...65536).contains(alignment), alignment & (alignment - 1) == 0 else {
      throw cursor.failed(.alignment(UInt64(clamping: value.int ?? 0)))
    }
    return alignment
  }

  private static func value(of key: String, _ cursor: inout GGUFCursor) throws(GGUFError) -> GGUFValue {
    let start = cursor.offset
    let type: UInt32 = try cursor.integer()
    switch type {
    case 6: return .float32(Float(bitPattern: try cursor.integer()))
    case 12: return .float64(Double(bitPattern: try cursor.integer()))
    case 7: return .bool(try cursor.integer(UInt8.self) != 0)
    case 8: return .string(try cursor.string("the value of '\(key)'"))
    case 9: return try array(of: key, &cursor)
    case 10:
      let value: UInt64 = try cursor.integer()
      return Int(exactly: value).map { .integer($0) } ?? .large(value)
    default:
      guard let read = integerReader(type) else { throw cursor.failed(.unknownValueType(type, key: key), at: start) }
      return .integer(try read(&cursor))
    }
  }

  /// Reads one integer of a type of up to 64 signed or 32 unsigned bits.
  private static func integerReader(_ type: UInt32) -> ((inout GGUFCursor) throws(GGUFError) -> Int)? {
    switch type {
    case 0: { (c) throws(GGUFError) in Int(try c.integer(UInt8.self)) }
    case 1: { (c) throws(GGUFError) in Int(Int8(bitPattern: try c.integer())) }
    case 2: { (c) throws(GGUFError) in Int(try c.integer(UInt16.self)) }
    case 3: { (c) throws(GGUFError) in Int(Int16(bitPattern: try c.integer())) }
    case 4: { (c) throws(GGUFError) in Int(try c.integer(UInt32.self)) }
    case 5: { (c) throws(GGUFError) in Int(Int32(bitPattern: try c.integer())) }
    case 11: { (c) throws(GGUFError) in Int(Int64(bitPattern: try c.integer())) }
    default: nil
    }
  }

  private static func array(of key: String, _ cursor: inout GGUFCursor) throws(GGUFError) -> GGUFValue {
    let start = cursor.offset
    let type: UInt32 = try cursor.integer()
    func elements(_ byteCount: Int) throws(GGUFError) -> Int {
      try cursor.count("the length of the array '\(key)'", minimumByteCount: byteCount, limit: maximumArrayCount)
    }
    switch type {
    case 6:
      let count = try elements(4)
      return .floats(try many(count, &cursor) { (c) throws(GGUFError) in Float(bitPattern: try c.integer()) })
    case 12:
      let count = try elements(8)
      return .floats(try many(count, &cursor) { (c) throws(GGUFError) in Float(Double(bitPattern: try c.integer())) })
    case 7:
      let count = try elements(1)
      return .bools(try many(count, &cursor) { (c) throws(GGUFError) in try c.integer(UInt8.self) != 0 })
    case 8:
      let count = try elements(8)
      return .strings(try many(count, &cursor) { (c) throws(GGUFError) in try c.string("an element of '\(key)'") })
    case 10:
      let count = try elements(8)
      return .integers(try many(count, &cursor) { (c) throws(GGUFError) in Int(clamping: try c.integer(UInt64.self)) })
    default:
      // An array of arrays (9) is allowed by the specification, but no model uses one.
      guard let read = integerReader(type) else { throw cursor.failed(.unknownValueType(type, key: key), at: start) }
      let widths: [UInt32: Int] = [0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 11: 8]
      let count = try elements(widths[type] ?? 1)
      return .integers(try many(count, &cursor, read))
    }
  }

  private static func many<Element>(
    _ count: Int, _ cursor: inout GGUFCursor, _ read: (inout GGUFCursor) throws(GGUFError) -> Element
  ) throws(GGUFError) -> [Element] {
    var elements: [Element] = []
    elements.reserveCapacity(count)
    for _ in 0..<count { elements.append(try read(&cursor)) }
    return elements
  }
}

/// A tensor entry as written, before its place in the file is known.
private struct Info {
  let start: Int
  let name: String
  let shape: [Int]
  let type: GGUFTensorType
  let relativeOffset: UInt64

  init(_ cursor: inout GGUFCursor) throws(GGUFError) {
    start = cursor.offset
    let name = try cursor.string("a tensor's name", limit: 65535)
    self.name = name
    let dimensionsOffset = cursor.offset
    let dimensionCount: UInt32 = try cursor.integer()
    guard dimensionCount <= 4 else {
      throw cursor.failed(.dimensions(tensor: name, reason: "\(dimensionCount) dimensions, at most 4 are possible"), at: dimensionsOffset)
    }
    var extents: [Int] = []
    for _ in 0..<dimensionCount {
      let extent: UInt64 = try cursor.integer()
      guard extent > 0, let extent = Int(exactly: extent) else {
        throw cursor.failed(.dimensions(tensor: name, reason: "an extent of \(extent)"), at: dimensionsOffset)
      }
      extents.append(extent)
    }
    shape = extents.reversed()
    let code: UInt32 = try cursor.integer()
    guard let type = GGUFTensorType.all[code] else {
      throw cursor.failed(.unknownTensorType(tensor: name, code: code), at: cursor.offset - 4)
    }
    self.type = type
    relativeOffset = try cursor.integer()
  }

  func placed(dataStart: Int, alignment: Int, fileByteCount: Int, _ cursor: GGUFCursor) throws(GGUFError) -> (GGUFHeader.Tensor, end: Int) {
    let columns = shape.last ?? 1
    guard columns % type.blockElements == 0 else {
      throw cursor.failed(
        .dimensions(tensor: name, reason: "rows of \(columns) elements do not divide into \(type.name) blocks of \(type.blockElements)"), at: start)
    }
    guard relativeOffset % UInt64(alignment) == 0 else {
      throw cursor.failed(.misaligned(tensor: name, offset: relativeOffset, alignment: alignment), at: start)
    }
    // Bytes of the whole tensor and its end, each product and sum checked.
    let (rowByteCount, rowOverflow) = (columns / type.blockElements).multipliedReportingOverflow(by: type.blockBytes)
    var byteCount = rowByteCount
    var overflow = rowOverflow
    for extent in shape.dropLast() {
      let (product, over) = byteCount.multipliedReportingOverflow(by: extent)
      byteCount = product
      overflow = overflow || over
    }
    guard !overflow else { throw cursor.failed(.dimensions(tensor: name, reason: "its size overflows"), at: start) }
    let (offset, offsetOverflow) = UInt64(dataStart).addingReportingOverflow(relativeOffset)
    let (end, endOverflow) = offset.addingReportingOverflow(UInt64(byteCount))
    guard !offsetOverflow, !endOverflow, end <= UInt64(fileByteCount) else {
      throw cursor.failed(
        .outsideFile(tensor: name, end: offsetOverflow || endOverflow ? .max : end, fileByteCount: fileByteCount), at: start)
    }
    return (.init(name: name, shape: shape, type: type, offset: Int(offset), rowByteCount: rowByteCount), Int(end))
  }
}
