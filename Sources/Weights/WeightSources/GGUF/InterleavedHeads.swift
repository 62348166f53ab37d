import Tensors

/// The order of rows in which llama.cpp's converters write queries and keys for its rotary kernel.
///
/// It interleaves the two halves of each head (`[head, half/2, 2]`); Hugging Face keeps them apart (`[head, 2, half/2]`).
struct InterleavedHeads {
  let headSize: Int

  /// Reads rows, counted in Hugging Face's order, of a tensor that is stored in llama.cpp's.
  ///
  /// - Throws: ``WeightSourceError`` where the tensor is not made of whole heads.
  func read(_ name: String, rows: Range<Int>, of file: GGUFFile, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let description = file.description(of: name) else { throw WeightSourceError(file.origin, .missing(names: [name])) }
    guard !rows.isEmpty else { return }
    guard headSize > 0, headSize % 2 == 0, description.rowCount % headSize == 0 else {
      throw WeightSourceError(
        file.origin, .other("'\(name)' has \(description.rowCount) rows, not a multiple of the head size \(headSize). The file is damaged."))
    }
    let rowBytes = description.rowByteCount
    let half = headSize / 2
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: headSize * rowBytes, alignment: 64)
    defer { unsafe scratch.deallocate() }
    for head in rows.lowerBound / headSize...(rows.upperBound - 1) / headSize {
      let headRows = head * headSize..<(head + 1) * headSize
      try unsafe file.read(name, rows: headRows, into: scratch)
      for row in rows.clamped(to: headRows) {
        let (part, plane) = (row - headRows.lowerBound).quotientAndRemainder(dividingBy: half)
        let from = (2 * plane + part) * rowBytes
        let to = (row - rows.lowerBound) * rowBytes
        unsafe UnsafeMutableRawBufferPointer(rebasing: destination[to..<to + rowBytes])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: scratch[from..<from + rowBytes]))
      }
    }
  }
}
