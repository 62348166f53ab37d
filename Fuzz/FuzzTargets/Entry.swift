import CFuzzer
import JSON

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// One parser that reads untrusted bytes.
struct FuzzTarget: Sendable {
  let name: String
  /// What its inputs are: decides how they are changed.
  var form = Form.bytes
  /// Reads one input. Crashing, hanging and eating memory are the failures that libFuzzer sees by itself; beyond that, the
  /// target states with preconditions what must hold of an input that is accepted.
  let run: @Sendable (_ input: [UInt8]) -> Void

  enum Form: Sendable {
    /// libFuzzer's own changes of bytes.
    case bytes
    /// Parts with a zero byte between them, each a JSON document (or something else): changed as trees as well.
    case json
  }

  static let all: [FuzzTarget] = [
    .header, .json, .config, .configText, .plan, .gguf, .huggingFace, .adapter, .tokenizer, .template, .requests,
  ]

  /// The one that the environment variable DRYDOCK_FUZZ_TARGET names.
  static let chosen: FuzzTarget = {
    let name = unsafe getenv("DRYDOCK_FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
    guard let target = all.first(where: { $0.name == name }) else {
      print("DRYDOCK_FUZZ_TARGET must be one of: \(all.map(\.name).joined(separator: ", "))")
      exit(2)
    }
    return target
  }()
}

/// nil where it throws; with DRYDOCK_FUZZ_EXPLAIN set, says why.
func attempt<Result>(_ body: () throws -> Result) -> Result? {
  do { return try body() } catch {
    explain("refused: \(error)")
    return nil
  }
}
func explain(_ text: String) { if explains { print(text) } }
private let explains = unsafe getenv("DRYDOCK_FUZZ_EXPLAIN") != nil

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  FuzzTarget.chosen.run(start.map { unsafe Array(UnsafeBufferPointer(start: $0, count: count)) } ?? [])
  return 0
}

@_cdecl("LLVMFuzzerCustomMutator")
public func mutate(_ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ limit: Int, _ seed: UInt32) -> Int {
  if FuzzTarget.chosen.form == .json, seed % 3 != 0 {
    var mutator = JSONMutator(seed: seed)
    let changed = mutator.changed(unsafe Array(UnsafeBufferPointer(start: data, count: size)))
    if let changed, !changed.isEmpty, changed.count <= limit {
      for (index, byte) in changed.enumerated() { unsafe data[index] = byte }
      return changed.count
    }
  }
  return unsafe LLVMFuzzerMutate(data, size, limit)
}
