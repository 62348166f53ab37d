import JSON
import SystemPackage
import TestSupport
import Testing
import Tensors
import WeightSources

/// Writes GGUF byte by byte, so that every field can be wrong.
struct GGUFBytes {
  var bytes: [UInt8] = []
  mutating func u32(_ value: UInt32) { for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) } }
  mutating func u64(_ value: UInt64) { for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) } }
  mutating func string(_ text: String) {
    u64(UInt64(text.utf8.count))
    bytes += Array(text.utf8)
  }
  mutating func start(version: UInt32 = 3, tensors: UInt64 = 0, values: UInt64 = 0) {
    bytes += Array("GGUF".utf8)
    u32(version)
    u64(tensors)
    u64(values)
  }
  mutating func value(_ key: String, u64 value: UInt64) {
    string(key)
    u32(10)
    u64(value)
  }
  mutating func value(_ key: String, u32 value: UInt32) {
    string(key)
    u32(4)
    u32(value)
  }
  mutating func value(_ key: String, text: String) {
    string(key)
    u32(8)
    string(text)
  }
  mutating func value(_ key: String, f32 value: Float) {
    string(key)
    u32(6)
    u32(value.bitPattern)
  }
  mutating func value(_ key: String, u32s values: [UInt32]) {
    string(key)
    u32(9)
    u32(4)
    u64(UInt64(values.count))
    for value in values { u32(value) }
  }
  mutating func tensor(_ name: String, _ extents: [UInt64], type: UInt32 = 0, offset: UInt64 = 0) {
    string(name)
    u32(UInt32(extents.count))
    for extent in extents { u64(extent) }
    u32(type)
    u64(offset)
  }
  /// Zeros up to a multiple of 32, then `count` more.
  mutating func data(_ count: Int) { bytes += [UInt8](repeating: 0, count: (32 - bytes.count % 32) % 32 + count) }
}

struct GGUFTests {
  let directory = TemporaryDirectory()

  func problem(_ build: (inout GGUFBytes) -> Void) -> GGUFError.Problem? {
    var file = GGUFBytes()
    build(&file)
    do throws(GGUFError) { _ = try GGUFFile(directory.write("a.gguf", file.bytes)) } catch {
      #expect(!error.description.isEmpty && error.offset <= file.bytes.count)
      return error.problem
    }
    return nil
  }

  @Test func `names and texts of combining marks, which would take for ever to compare, are refused`() {
    let long = String(repeating: "\u{301}\u{316}", count: 250_000), short = String(repeating: "\u{301}\u{316}", count: 16_000)
    func isTold(_ build: (inout GGUFBytes) -> Void) -> Bool {
      if case .tooManyMarks = problem(build) { true } else { false }
    }
    #expect(
      isTold {
        $0.start(values: 1); $0.value("a\(short)", u32: 1)
      })
    #expect(
      isTold {
        $0.start(values: 1); $0.string("general.architecture"); $0.u32(8); $0.string("llama\(long)")
      })
    #expect(
      isTold {
        $0.start(values: 1); $0.string("tokenizer.ggml.tokens"); $0.u32(9); $0.u32(8); $0.u64(1); $0.string(long)
      })
    #expect(
      isTold {
        $0.start(tensors: 1); $0.tensor("t\(short)", [1]); $0.data(4)
      })
  }

  @Test func `a file of another kind, version or byte order is refused`() {
    #expect(problem { $0.bytes = Array("GGML    ".utf8) } == .notGGUF)
    #expect(problem { $0.bytes = [] } == .notGGUF)
    #expect(problem { $0.start(version: 1) } == .unsupportedVersion(1))
    #expect(problem { $0.start(version: 4) } == .unsupportedVersion(4))
    #expect(problem { $0.start(version: 0x0300_0000) } == .bigEndian)
    #expect(problem { $0.start(version: 2) } == nil)
  }

  @Test func `counts and lengths beyond the file are refused before anything is allocated`() {
    #expect(problem { $0.start(tensors: .max) } == .countTooLarge(what: "the number of tensors", count: .max, limit: 0))
    #expect(problem { $0.start(values: 1 << 40) } == .countTooLarge(what: "the number of metadata values", count: 1 << 40, limit: 0))
    #expect(
      problem {
        $0.start(values: 1)
        $0.u64(.max)
        $0.data(64)
      } == .countTooLarge(what: "the length of a metadata key", count: .max, limit: 64))
    #expect(
      problem {
        $0.start(values: 1)
        $0.string("k")
        $0.u32(9)
        $0.u32(4)
        $0.u64(1 << 60)
      } == .countTooLarge(what: "the length of the array 'k'", count: 1 << 60, limit: 0))
    #expect(
      problem {
        $0.start(values: 1)
        $0.string("k")
        $0.u32(8)
        $0.u64(3)
        $0.bytes += [0x61]
      } == .countTooLarge(what: "the length of the value of 'k'", count: 3, limit: 1))
  }

  @Test func `duplicates, bad text and unknown kinds of value are refused by name`() {
    #expect(
      problem {
        $0.start(values: 2)
        $0.value("a", u32: 1)
        $0.value("a", u32: 2)
      } == .duplicate(what: "metadata key", name: "a"))
    #expect(
      problem {
        $0.start(tensors: 2)
        $0.tensor("t", [4])
        $0.tensor("t", [4])
        $0.data(16)
      } == .duplicate(what: "tensor", name: "t"))
    #expect(
      problem {
        $0.start(values: 1)
        $0.u64(2)
        $0.bytes += [0xFF, 0xFE]
        $0.data(32)
      } == .invalidText(what: "a metadata key"))
    #expect(
      problem {
        $0.start(values: 1)
        $0.string("k")
        $0.u32(13)
        $0.data(32)
      } == .unknownValueType(13, key: "k"))
    #expect(
      problem {
        $0.start(tensors: 1)
        $0.tensor("t", [4], type: 4)
        $0.data(64)
      } == .unknownTensorType(tensor: "t", code: 4))
  }

  @Test func `alignment must be a power of two`() {
    for bad: UInt32 in [0, 7, 12, 1 << 17] {
      #expect(
        problem {
          $0.start(values: 1)
          $0.value("general.alignment", u32: bad)
        } == .alignment(UInt64(bad)))
    }
    #expect(
      problem {
        $0.start(values: 1)
        $0.value("general.alignment", u32: 64)
      } == nil)
  }

  @Test func `a tensor must lie inside the file, on its alignment, in whole blocks`() {
    func tensor(_ extents: [UInt64], type: UInt32 = 0, offset: UInt64 = 0, data: Int = 64) -> GGUFError.Problem? {
      problem {
        $0.start(tensors: 1)
        $0.tensor("t", extents, type: type, offset: offset)
        $0.data(data)
      }
    }
    #expect(tensor([4, 4]) == nil)
    #expect(tensor([4, 4], data: 63) != nil)
    #expect(tensor([4, 4], offset: 16) == .misaligned(tensor: "t", offset: 16, alignment: 32))
    #expect(tensor([4, 4], offset: UInt64.max - 31) != nil)
    // Two on the same bytes, whichever stands first.
    for offsets: (UInt64, UInt64) in [(0, 0), (0, 32), (32, 0), (0, 64)] {
      let found = problem {
        $0.start(tensors: 2)
        $0.tensor("s", [4, 4], type: 0, offset: offsets.0)
        $0.tensor("t", [4, 4], type: 0, offset: offsets.1)
        $0.data(128)
      }
      if case .overlap? = found { #expect(offsets != (0, 64)) } else { #expect(found == nil && offsets == (0, 64), "\(offsets)") }
    }
    if case .outsideFile(let name, _, _)? = tensor([4, 4], offset: 32) { #expect(name == "t") } else { Issue.record("no error") }
    for extents: [UInt64] in [[0], [1 << 63], [1 << 32, 1 << 32], [1 << 62, 1], [1, 1, 1, 1, 1]] {
      guard case .dimensions(tensor: "t", _)? = tensor(extents) else {
        Issue.record("\(extents) was taken")
        continue
      }
    }
    guard case .dimensions? = tensor([33], type: 8) else { Issue.record("half a block was taken"); return }
    #expect(tensor([32], type: 8) == nil)
  }

  @Test func `a file cut anywhere is refused, never read beyond`() throws {
    let whole = try #require(contents(Expected.directory.appending("models/tied.gguf")))
    for count in stride(from: 0, to: whole.count - 1, by: 97) {
      let path = directory.write("cut.gguf", Array(whole.prefix(count)))
      #expect(throws: GGUFError.self) { _ = try GGUFFile(path) }
    }
  }

  @Test func `random damage gives an error or a file whose tensors can be read`() throws {
    var random = SeededGenerator(seed: 5)
    let whole = try #require(contents(Expected.directory.appending("models/quantized.gguf")))
    for _ in 0..<300 {
      var damaged = whole
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        damaged[Int.random(in: 0..<3000, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      let path = directory.write("damaged.gguf", damaged)
      guard let file = try? GGUFFile(path) else { continue }
      for name in file.names where file.description(of: name) != nil { _ = try file.bytes(of: name) }
    }
  }

  @Test func `types that cannot be read are refused by name`() throws {
    var file = GGUFBytes()
    file.start(tensors: 1)
    file.tensor("t", [256], type: 10)
    file.data(128)
    let gguf = try GGUFFile(directory.write("q2.gguf", file.bytes))
    #expect(gguf.description(of: "t") == nil)
    let text = try #require(message { try gguf.requireReadable() })
    #expect(text.contains("Q2_K") && text.contains("Q4_K") && text.contains("'t'"))
  }

  @Test func `metadata is typed, and numbers keep their fewest digits`() throws {
    let source = try ModelSource(Expected.directory.appending("models/quantized.gguf"))
    #expect(source.model.normEpsilon.text == "1e-05" && source.model.rotaryBase.double == 10000)
    let tokenizer = try #require(try source.gguf?.metadata.tokenizer())
    #expect(tokenizer.tokens.count == 24 && tokenizer.tokens[3] == "t3é" && tokenizer.merges == ["a b", "b c"])
    #expect(tokenizer.endID == 2 && tokenizer.addsBeginning == false && tokenizer.chatTemplate == "{{ messages }}" && tokenizer.preTokenizer == "smollm")
    #expect(source.model.isQuantized && source.model.automaticElementType == .bfloat16)
  }

  @Test func `Llama 3's rotary scaling is recovered from its table, any other table is refused`() throws {
    let scaling = try #require(ModelSource(Expected.directory.appending("models/llama3.gguf")).model.rotaryScaling)
    #expect(scaling["rope_type"] == "llama3" && scaling["factor"]?.double == 32 && scaling["low_freq_factor"]?.double == 1)
    #expect(scaling["high_freq_factor"]?.double == 4 && scaling["original_max_position_embeddings"] == 8192)
    let text = message { _ = try ModelSource(Expected.directory.appending("models/strange-rotary.gguf")) }
    #expect(text?.contains("rope_freqs.weight") == true && text?.contains("plane 1") == true)
  }
}
