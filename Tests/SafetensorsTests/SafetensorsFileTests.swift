import Files
import Safetensors
import Tensors
import TestSupport
import Testing

struct SafetensorsFileTests {
  let directory = TemporaryDirectory()

  @discardableResult
  func write(
    _ name: String, _ tensors: [(String, TensorDescription, [UInt8])], metadata: [(String, String)]? = nil,
    dataAlignment: Int = 8
  ) throws -> SafetensorsWriter {
    let writer = try SafetensorsWriter(
      file: WritableFile(creating: directory(name)),
      metadata: metadata.map { .init(uniqueKeysWithValues: $0) },
      tensors: tensors.map { ($0.0, $0.1) }, dataAlignment: dataAlignment)
    for (name, _, bytes) in tensors { try writer.write(name, bytes) }
    try writer.file.close()
    return writer
  }

  @Test func `what is written is read back, whatever the types, shapes, names and notes`() throws {
    var generator = SeededGenerator(seed: 3)
    let odd = ["", "a.b", "Zürich", "quote\"back\\slash", "tab\tnew\nline\u{1}", "𝄞", "/", " "]
    for round in 0..<60 {
      var names = Set(odd)
      var tensors: [(String, TensorDescription, [UInt8])] = []
      for index in 0..<Int.random(in: 0...12, using: &generator) {
        let type = ElementType.allCases.randomElement(using: &generator)!
        var shape = (0..<Int.random(in: 0...4, using: &generator)).map { _ in Int.random(in: 0...5, using: &generator) }
        if TensorDescription.checkedByteCount(shape: shape, elementType: type) == nil { shape.append(4) }
        let description = TensorDescription(shape: shape, elementType: type)
        let name = names.popFirst() ?? "tensor \(index)"
        tensors.append((name, description, generator.bytes(description.byteCount)))
      }
      let metadata: [(String, String)]? = round % 3 == 0 ? nil : [("zeta", "1"), ("alpha", "\u{7}é\"")]
      let alignment = [8, 64, 4096].randomElement(using: &generator)!
      try write("\(round)", tensors, metadata: metadata, dataAlignment: alignment)
      let file = try SafetensorsFile(directory("\(round)"))
      #expect(file.names == tensors.map(\.0))
      #expect(file.header.optionalMetadata?.map { "\($0)=\($1)" } == metadata?.map { "\($0)=\($1)" })
      #expect(file.header.dataStart % alignment == 0)
      for (name, description, bytes) in tensors {
        #expect(file.header[name]?.description == description)
        #expect(try file.bytes(of: name) == bytes)
      }
    }
  }
  @Test func `rows are read and written one range at a time, in any order`() throws {
    let description = TensorDescription(shape: [5, 3], elementType: .int16)
    var generator = SeededGenerator(seed: 4)
    let bytes = generator.bytes(30)
    let writer = try SafetensorsWriter(file: WritableFile(creating: directory("rows")), tensors: [("a", description)])
    for rows in [3..<5, 0..<1, 1..<3] {
      try unsafe bytes.withUnsafeBytes {
        try unsafe writer.write("a", rows: rows, UnsafeRawBufferPointer(rebasing: $0[rows.lowerBound * 6..<rows.upperBound * 6]))
      }
    }
    let file = try SafetensorsFile(directory("rows"))
    for start in 0...5 {
      for end in start...5 {
        var part = [UInt8](repeating: 0, count: (end - start) * 6)
        try unsafe part.withUnsafeMutableBytes { try unsafe file.read("a", rows: start..<end, into: $0) }
        #expect(part == Array(bytes[start * 6..<end * 6]))
      }
    }
    var six = [UInt8](repeating: 0, count: 6)
    unsafe six.withUnsafeMutableBytes { buffer in
      #expect(throws: SafetensorsError.self) { try unsafe file.read("a", rows: 5..<6, into: buffer) }
      #expect(throws: SafetensorsError.self) { try unsafe file.read("a", rows: -1..<0, into: buffer) }
      #expect(throws: SafetensorsError.self) { try unsafe file.read("a", rows: 0..<2, into: buffer) }
    }
  }
  @Test func `a misspelled name is answered with the nearest one`() throws {
    try write("near", [("layers.0.weight", TensorDescription(shape: [0], elementType: .uint8), [])])
    let error = #expect(throws: SafetensorsError.self) { try SafetensorsFile(directory("near")).bytes(of: "layers.0.wieght") }
    #expect(error?.problem == .missingTensor("layers.0.wieght", nearest: "layers.0.weight"))
  }
  @Test func `a file cut short after it was opened is an error, not a crash`() throws {
    try write("cut", [("a", TensorDescription(shape: [100_000], elementType: .uint8), [UInt8](repeating: 1, count: 100_000))])
    let file = try SafetensorsFile(directory("cut"))
    directory.write("cut", Array(contents(directory("cut"))!.prefix(500)))
    var bytes = [UInt8](repeating: 0, count: 100_000)
    let error = unsafe bytes.withUnsafeMutableBytes { buffer in
      #expect(throws: SafetensorsError.self) { try unsafe file.read("a", rows: 0..<100_000, into: buffer) }
    }
    guard case .file(let cause)? = error?.problem, case .truncated = cause.problem else {
      Issue.record("\(String(describing: error))")
      return
    }
  }
  @Test func `a file beyond 4 GiB is written sparse and read at its far end`() throws {
    let rows = 5 << 30
    let big = TensorDescription(shape: [rows], elementType: .uint8)
    let small = TensorDescription(shape: [2], elementType: .uint8)
    let writer = try SafetensorsWriter(file: WritableFile(creating: directory("big")), tensors: [("big", big), ("tail", small)])
    try writer.write("tail", [7, 9])
    try unsafe [UInt8](arrayLiteral: 5).withUnsafeBytes { try unsafe writer.write("big", rows: rows - 1..<rows, $0) }
    let file = try SafetensorsFile(directory("big"))
    #expect(file.file.byteCount > 1 << 32)
    var end: [UInt8] = [1, 1]
    try unsafe end.withUnsafeMutableBytes { try unsafe file.read("big", rows: rows - 2..<rows, into: $0) }
    #expect(end == [0, 5])
    #expect(try file.bytes(of: "tail") == [7, 9])
  }
  @Test func `a header near the limit is read`() throws {
    // 100 000 000 bytes exactly, most of them padding; one byte more is refused.
    let text = Array(#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#.utf8)
    for (size, fits) in [(100_000_000, true), (100_000_001, false)] {
      let bytes =
        (0..<8).map { UInt8(truncatingIfNeeded: size >> ($0 * 8)) } + text
        + [UInt8](repeating: 0x20, count: size - text.count) + [42]
      directory.write("large", bytes)
      let file = try? SafetensorsFile(directory("large"))
      #expect((file != nil) == fits)
      if let file { #expect(try file.bytes(of: "a") == [42]) }
    }
  }
  @Test func `names that no file may have are refused on writing`() throws {
    let description = TensorDescription(shape: [1], elementType: .uint8)
    #expect(throws: SafetensorsError.self) { try SafetensorsHeader(describing: [("__metadata__", description)]) }
    #expect(throws: SafetensorsError.self) { try SafetensorsHeader(describing: [("a", description), ("a", description)]) }
    #expect(throws: SafetensorsError.self) {
      try SafetensorsHeader(describing: [("a", TensorDescription(shape: [.max, 8], elementType: .uint8))])
    }
    #expect(throws: SafetensorsError.self) {
      try SafetensorsHeader(
        describing: [
          ("a", TensorDescription(shape: [Int.max / 8], elementType: .uint8)),
          ("b", TensorDescription(shape: [Int.max / 8], elementType: .uint8)),
        ] + (0..<8).map { ("c\($0)", TensorDescription(shape: [Int.max / 8], elementType: .uint8)) })
    }
  }
  @Test func `empty tensors may stand anywhere between others`() throws {
    let empty = TensorDescription(shape: [0], elementType: .bfloat16)
    let byte = TensorDescription(shape: [1], elementType: .uint8)
    try write("empty", [("z", empty, []), ("a", byte, [1]), ("m", empty, []), ("b", byte, [2]), ("e", empty, [])])
    let file = try SafetensorsFile(directory("empty"))
    #expect(try file.bytes(of: "a") == [1] && file.bytes(of: "b") == [2] && file.bytes(of: "m") == [])
  }
}
