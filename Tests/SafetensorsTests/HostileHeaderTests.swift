import JSON
import Safetensors
import TestSupport
import Testing

/// One test for each rule of the format, each with bytes that break it.
struct HostileHeaderTests {
  let directory = TemporaryDirectory()

  func file(_ header: String, data: Int = 0, size: UInt64? = nil) -> [UInt8] {
    let size = size ?? UInt64(header.utf8.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: size >> ($0 * 8)) } + Array(header.utf8)
      + [UInt8](repeating: 0, count: data)
  }
  func problem(_ bytes: [UInt8]) -> SafetensorsError.Problem? {
    let path = directory.write("bad.safetensors", bytes)
    do throws(SafetensorsError) { _ = try SafetensorsFile(path) } catch {
      #expect(error.path == path)
      #expect(error.description.hasPrefix(path.string), "a message says where: \(error)")
      return error.problem
    }
    return nil
  }
  func one(_ dtype: String = "F32", _ shape: String = "[2]", _ offsets: String = "[0,8]") -> String {
    #"{"a":{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":\#(offsets)}}"#
  }

  @Test func `the smallest files are read`() throws {
    #expect(problem(file("{}")) == nil)
    #expect(problem(file(one(), data: 8)) == nil)
    #expect(problem(file(one() + "     ", data: 8)) == nil)
    #expect(problem(file(#"{"__metadata__":{}}"#)) == nil)
  }
  @Test(arguments: [0, 1, 7]) func `a file shorter than its size field`(count: Int) {
    #expect(problem([UInt8](repeating: 0, count: count)) == .tooShort(byteCount: count))
  }
  @Test func `a header larger than the format allows is refused before it is read`() {
    #expect(problem(file("{}", size: 100_000_001)) == .headerTooLarge(byteCount: 100_000_001))
    #expect(problem(file("{}", size: .max)) == .headerTooLarge(byteCount: .max))
  }
  @Test func `a header beyond the end of the file`() {
    #expect(problem(file("{}", size: 3)) == .headerBeyondEnd(headerByteCount: 3, fileByteCount: 10))
    #expect(problem(file("{}", size: 100_000_000)) == .headerBeyondEnd(headerByteCount: 100_000_000, fileByteCount: 10))
  }
  @Test(arguments: ["", " {}", "[]", "null", "\u{FEFF}{}", "\n{}"]) func `a header that does not start with a brace`(header: String) {
    #expect(problem(file(header)) == .headerNotAnObject)
  }
  @Test(arguments: ["\n", "\t", "\0", "\r"]) func `padding other than spaces`(padding: String) {
    #expect(problem(file("{}" + padding)) == .headerPadding(byte: padding.utf8.first!))
  }
  @Test(arguments: ["{", "{}{}", "{} x", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, #"{'a':1}"#, "{\"a\":\u{0}}", #"{"a":NaN}"#])
  func `a header that is not JSON`(header: String) {
    guard case .json = problem(file(header)) else { return _ = Issue.record("\(header): \(String(describing: problem(file(header))))") }
  }
  @Test func `names of combining marks, which would take for ever to compare, are refused`() {
    let marks = String(repeating: "\u{301}\u{316}", count: 250_000)
    for header in [
      #"{"a\#(marks)":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, #"{"__metadata__":{"a\#(marks)":"b"}}"#, #"{"__metadata__":{"a":"\#(marks)"}}"#,
      #"{"a":{"dtype":"F\#(marks)","shape":[2],"data_offsets":[0,8]}}"#,
    ] {
      guard case .json(let error) = problem(file(header, data: 8)), case .tooManyMarks = error.problem else { return _ = Issue.record("accepted") }
    }
  }
  @Test func `a name given twice`() {
    let twice = #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#
    guard case .json(let error) = problem(file(twice)) else { return _ = Issue.record("accepted") }
    #expect(error.problem == .duplicateKey("a"))
    // Also when one is spelled with an escape, and inside a tensor's description.
    #expect(problem(file(twice.replacing(#""a""#, with: #""\u0061""#, maxReplacements: 1))) != nil)
    #expect(problem(file(#"{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#)) != nil)
    #expect(problem(file(#"{"__metadata__":{"x":"1","x":"2"}}"#)) != nil)
  }
  @Test func `text that is not UTF-8`() {
    var bytes = file(one(), data: 8)
    bytes[10] = 0xFF
    guard case .json(let error) = problem(bytes) else { return _ = Issue.record("accepted") }
    #expect(error.problem == .invalidUTF8)
    for name in ["\\ud800", "\\udc00\\ud800", "\\ud800x"] {  // half a character
      #expect(problem(file(#"{"\#(name)":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#)) != nil, "\(name)")
    }
  }
  @Test func `nesting deeper than a header has`() {
    for depth in [4, 100, 100_000] {
      let deep = #"{"a":"# + String(repeating: "[", count: depth) + String(repeating: "]", count: depth) + "}"
      guard case .json(let error) = problem(file(deep)) else { return _ = Issue.record("depth \(depth) accepted") }
      #expect(error.problem == .tooDeep(limit: 3))
    }
  }
  @Test(arguments: [
    #"{"a":1}"#, #"{"a":[]}"#, #"{"a":{}}"#, #"{"a":{"dtype":"U8","shape":[0]}}"#, #"{"a":{"dtype":"U8","data_offsets":[0,0]}}"#,
    #"{"a":{"shape":[0],"data_offsets":[0,0]}}"#, #"{"a":{"dtype":1,"shape":[0],"data_offsets":[0,0]}}"#,
    #"{"a":{"dtype":"U8","shape":0,"data_offsets":[0,0]}}"#, #"{"a":{"dtype":"U8","shape":["0"],"data_offsets":[0,0]}}"#,
    #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0]}}"#, #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0,0]}}"#,
    #"{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}}"#, #"{"a":{"dtype":"U8","shape":[0.0],"data_offsets":[0,0]}}"#,
    #"{"a":{"dtype":"U8","shape":[0e0],"data_offsets":[0,0]}}"#, #"{"a":{"dtype":"U8","shape":[-0],"data_offsets":[0,0]}}"#,
    #"{"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,0]}}"#,
    #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[-1,0]}}"#,
    #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"extra":0}}"#,
    #"{"__metadata__":1}"#, #"{"__metadata__":{"a":1}}"#, #"{"__metadata__":{"a":null}}"#, #"{"__metadata__":null}"#,
  ]) func `a member that is not what the format asks for`(header: String) {
    guard case .field = problem(file(header)) else { return _ = Issue.record("\(header): \(String(describing: problem(file(header))))") }
  }
  @Test(arguments: ["F31", "f32", "", "F8_E4M4", "FLOAT"]) func `an element type that is not known`(name: String) {
    #expect(problem(file(one(name), data: 8)) == .unknownElementType(tensor: "a", name: name))
  }
  @Test func `a size that overflows`() {
    #expect(problem(file(one("F32", "[9223372036854775807,2]"), data: 8)) == .shape(tensor: "a", shape: [.max, 2]))
    #expect(problem(file(one("F64", "[4294967296,4294967296]"), data: 8)) == .shape(tensor: "a", shape: [1 << 32, 1 << 32]))
    #expect(problem(file(one("U8", "[9223372036854775807]"), data: 8)) == .shape(tensor: "a", shape: [.max]))
  }
  @Test func `a zero among extents that overflow does not hide them`() {
    // In either order: nothing takes no bytes, but the bytes of a row are asked for alone.
    #expect(problem(file(one("U8", "[0,9223372036854775807,9223372036854775807]", "[0,0]"))) != nil)
    #expect(problem(file(one("U8", "[0,1000]", "[0,0]"))) == nil)
    #expect(problem(file(one("U8", "[9223372036854775807,9223372036854775807,0]", "[0,0]"))) != nil)
  }
  @Test func `elements that do not fill whole bytes`() {
    #expect(problem(file(one("F4", "[3]", "[0,2]"), data: 2)) == .shape(tensor: "a", shape: [3]))
    #expect(problem(file(one("F6_E2M3", "[2]", "[0,2]"), data: 2)) == .shape(tensor: "a", shape: [2]))
  }
  @Test func `an extent that shape and type do not explain`() {
    #expect(problem(file(one("F32", "[2]", "[0,9]"), data: 9)) == .extent(tensor: "a", declared: 0..<9, needed: 8))
    #expect(problem(file(one("F32", "[2]", "[0,7]"), data: 7)) == .extent(tensor: "a", declared: 0..<7, needed: 8))
    #expect(problem(file(one("F32", "[]", "[0,0]"))) == .extent(tensor: "a", declared: 0..<0, needed: 4))
  }
  @Test func `offsets that run backwards`() {
    #expect(problem(file(one("F32", "[2]", "[8,0]"), data: 8)) == .reversedOffsets(tensor: "a", begin: 8, end: 0))
  }
  func two(_ first: String, _ second: String, size: Int = 4) -> String {
    #"{"a":{"dtype":"U8","shape":[4],"data_offsets":\#(first)},"b":{"dtype":"U8","shape":[4],"data_offsets":\#(second)}}"#
  }
  @Test func `a hole before, between and after tensors`() {
    #expect(problem(file(one("U8", "[4]", "[1,5]"), data: 5)) == .hole(tensor: "a", expected: 0, begin: 1))
    #expect(problem(file(two("[0,4]", "[5,9]"), data: 9)) == .hole(tensor: "b", expected: 4, begin: 5))
    #expect(problem(file(two("[0,4]", "[4,8]"), data: 9)) == .dataSize(declared: 8, actual: 9))
    #expect(problem(file("{}", data: 1)) == .dataSize(declared: 0, actual: 1))
  }
  @Test func `tensors that share bytes`() {
    #expect(problem(file(two("[0,4]", "[3,7]"), data: 7)) == .overlap(tensor: "b", expected: 4, begin: 3))
    #expect(problem(file(two("[0,4]", "[0,4]"), data: 4)) == .overlap(tensor: "b", expected: 4, begin: 0))
  }
  @Test func `data beyond the end of the file`() {
    #expect(problem(file(one(), data: 7)) == .dataSize(declared: 8, actual: 7))
    #expect(problem(file(one())) == .dataSize(declared: 8, actual: 0))
    #expect(
      problem(file(one("U8", "[9223372036854775]", "[0,9223372036854775]"), data: 8))
        == .dataSize(declared: 9_223_372_036_854_775, actual: 8))
  }
  @Test func `a directory and a missing file are named`() {
    for path in [directory.path, directory("nothing.safetensors")] {
      #expect(throws: SafetensorsError.self) { try SafetensorsFile(path) }
    }
  }
  @Test func `random changes to a good header never crash and never widen an extent`() {
    var generator = SeededGenerator(seed: 20)
    let good = file(
      #"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"#
        + #""b":{"dtype":"BF16","shape":[],"data_offsets":[16,18]}}"#, data: 18)
    var accepted = 0
    for _ in 0..<3000 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      let header = bytes.count - 18 - 8
      do throws(SafetensorsError) {
        let parsed = try SafetensorsHeader(
          parsing: unsafe Array(bytes[8..<8 + header]).span.bytes, fileByteCount: bytes.count)
        accepted += 1
        #expect(parsed.entries.allSatisfy { $0.range.upperBound <= 18 && $0.range.count == $0.description.byteCount })
      } catch {}
    }
    #expect(accepted > 0 && accepted < 3000)
  }
}
