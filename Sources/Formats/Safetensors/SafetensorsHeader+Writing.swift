import JSON
public import OrderedCollections
public import SystemPackage
public import Tensors

extension SafetensorsHeader {
  /// A header for tensors that are to follow each other in the given order.
  ///
  /// - Parameters:
  ///   - metadata: nil leaves the `__metadata__` member out.
  ///   - dataAlignment: The data starts at a multiple of this many bytes; the header is padded with spaces. A power of 2
  ///     of at least 8 keeps elements aligned.
  ///   - path: For messages.
  /// - Throws: ``SafetensorsError`` for a name given twice, a shape that overflows, a header beyond the format's limit.
  public init(
    describing tensors: [(String, TensorDescription)], metadata: OrderedDictionary<String, String>? = nil,
    dataAlignment: Int = 8, path: FilePath = "header"
  ) throws(SafetensorsError) {
    try self.init(
      describing: tensors, headerOrder: nil, metadata: metadata, dataAlignment: dataAlignment, dataPhase: nil, path: path)
  }

  /// - Parameters:
  ///   - headerOrder: The order in which the header names the tensors, as indices into `tensors`.
  ///   - dataPhase: What the start of the data should leave when divided by 4096, a multiple of `dataAlignment`: lets a
  ///     range that is copied from another file keep its place within a block, so that blocks can be shared.
  package init(
    describing tensors: [(String, TensorDescription)], headerOrder: [Int]?,
    metadata: OrderedDictionary<String, String>?, dataAlignment: Int, dataPhase: Int?, path: FilePath
  ) throws(SafetensorsError) {
    func failed(_ problem: SafetensorsError.Problem) -> SafetensorsError { SafetensorsError(path, problem) }
    var entries: [Entry] = []
    entries.reserveCapacity(tensors.count)
    var places = [String: Int](minimumCapacity: tensors.count)
    var end = 0
    for (name, description) in tensors {
      guard name != "__metadata__" else { throw failed(.reservedName) }
      guard let count = TensorDescription.checkedByteCount(shape: description.shape, elementType: description.elementType) else {
        throw failed(.shape(tensor: name, shape: description.shape))
      }
      let (next, overflow) = end.addingReportingOverflow(count)
      guard !overflow else { throw failed(.shape(tensor: name, shape: description.shape)) }
      guard places.updateValue(entries.count, forKey: name) == nil else { throw failed(.duplicateTensor(name)) }
      entries.append(Entry(name: name, description: description, range: end..<next))
      end = next
    }
    let order = headerOrder ?? Array(entries.indices)
    precondition(order.count == entries.count, "headerOrder names every tensor once")
    let text = Self.text(entries, order: order, metadata: metadata)
    var dataStart = Self.padded(8 + text.utf8.count, to: dataAlignment)
    if let phase = dataPhase { dataStart += (phase - dataStart % 4096 + 4096) % 4096 }
    guard dataStart - 8 <= Self.byteLimit else { throw failed(.headerTooLarge(byteCount: UInt64(dataStart - 8))) }
    self.init(entries: entries, headerOrder: order, metadata: metadata, dataStart: dataStart, places: places)
  }

  /// The first ``dataStart`` bytes of a file with this header: size, text without needless spaces, padding.
  public func serialized() -> [UInt8] {
    let text = Self.text(entries, order: headerOrder, metadata: optionalMetadata)
    let size = max(dataStart - 8, text.utf8.count)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(8 + size)
    for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: size >> shift)) }
    bytes.append(contentsOf: text.utf8)
    bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: size - text.utf8.count))
    return bytes
  }

  private static func padded(_ count: Int, to alignment: Int) -> Int {
    (count + alignment - 1) / alignment * alignment
  }

  private static func text(
    _ entries: [Entry], order: [Int], metadata: OrderedDictionary<String, String>?
  ) -> String {
    var text = "{"
    if let metadata {
      let notes = JSONObject(uniqueKeysWithValues: metadata.map { ($0, .string($1)) })
      text += "\"__metadata__\":" + JSONValue.object(notes).serialized()
    }
    for index in order {
      let entry = entries[index]
      if text.utf8.count > 1 { text += "," }
      text += JSONValue.string(entry.name).serialized()
      text += ":{\"dtype\":\"\(entry.description.elementType.rawValue)\",\"shape\":["
      text += entry.description.shape.map { String($0) }.joined(separator: ",")
      text += "],\"data_offsets\":[\(entry.range.lowerBound),\(entry.range.upperBound)]}"
    }
    return text + "}"
  }
}
