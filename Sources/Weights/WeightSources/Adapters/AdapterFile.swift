public import Safetensors
public import Tensors

/// The tensors of an adapter, under the names that its file gives them.
protocol AdapterFile: NamedTensors {
  /// What the name of a tensor says; nil where it says nothing that is known.
  func parsed(_ name: String) -> AdapterTensorName?
}

extension AdapterFile {
  /// - Throws: ``WeightSourceError`` where there is no such tensor.
  func require(_ name: String) throws(WeightSourceError) -> TensorDescription {
    guard let description = description(of: name) else { throw WeightSourceError(origin, .missing(names: [name])) }
    return description
  }
}

extension SafetensorsFile: NamedTensors {
  public var origin: String { path.string }
  public func description(of name: String) -> TensorDescription? { header[name]?.description }
}

extension SafetensorsFile: AdapterFile {
  func parsed(_ name: String) -> AdapterTensorName? { AdapterTensorName(name) }

  /// Some columns of one row, in the described element type: of factors that are stored the other way round, which only these files have.
  ///
  /// - Parameter destination: Exactly these columns.
  func read(_ name: String, row: Int, columns: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    let entry = try entry(name)
    let elementBytes = entry.description.elementType.bitWidth / 8
    let start = header.dataStart + entry.range.lowerBound + row * entry.description.rowByteCount + columns.lowerBound * elementBytes
    try unsafe file.read(at: start, into: destination)
  }
}
