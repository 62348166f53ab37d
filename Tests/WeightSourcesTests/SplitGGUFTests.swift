import SystemPackage
import TestSupport
import Testing

import Tensors
import WeightSources

/// Parts as `llama-gguf-split` writes them.
struct SplitGGUFTests {
  let directory = TemporaryDirectory()
  static let whole = Expected.directory.appending("models/tied.gguf")

  /// The file's tensors in parts of the given numbers of tensors; the first part holds the metadata.
  func parts(_ counts: [Int], of path: FilePath = whole, count: Int? = nil, total: Int? = nil) throws -> [[UInt8]] {
    let bytes = try #require(contents(path))
    let file = try GGUFFile(path)
    let tensors = file.names
    #expect(counts.reduce(0, +) == tensors.count)
    var first = GGUFBytes()
    first.string(tensors[0])
    // Between the counts and the first tensor's entry.
    let end = try #require(bytes.indices.first { bytes[$0...].starts(with: first.bytes) })
    var next = 0
    return try counts.enumerated().map { index, held in
      let mine = tensors[next..<next + held]
      next += held
      var part = GGUFBytes()
      part.start(tensors: UInt64(held), values: UInt64((index == 0 ? file.metadata.values.count : 0) + 3))
      if index == 0 { part.bytes += bytes[24..<end] }
      part.value("split.no", u32: UInt32(index))
      part.value("split.count", u32: UInt32(count ?? counts.count))
      part.value("split.tensors.count", u32: UInt32(total ?? tensors.count))
      var data: [UInt8] = []
      for name in mine {
        // Plain numbers are delivered as they are stored.
        let (shape, type) = (try #require(file.description(of: name)).shape, try #require(file.storage(of: name)))
        part.tensor(name, shape.reversed().map { UInt64($0) }, type: type.code, offset: UInt64(data.count))
        data += try file.bytes(of: name)
        data += [UInt8](repeating: 0, count: (32 - data.count % 32) % 32)
      }
      part.data(0)
      return part.bytes + data
    }
  }
  func name(_ part: Int, of count: Int, _ model: String = "m") -> String { "\(model)-0000\(part)-of-0000\(count).gguf" }
  @discardableResult func write(_ parts: [[UInt8]], in place: String = "s", _ model: String = "m") -> [FilePath] {
    parts.enumerated().map { directory.write("\(place)/\(name($0 + 1, of: parts.count, model))", $1) }
  }
  @Test func `numbers of parts that no name can hold are refused`() throws {
    for (number, count) in [(UInt64.max >> 1, UInt64(2)), (3, UInt64.max >> 1), (UInt64.max >> 1, UInt64.max >> 1)] {
      var file = GGUFBytes()
      file.start(tensors: 0, values: 2)
      file.value("split.no", u64: number)
      file.value("split.count", u64: count)
      file.data(0)
      let path = directory.write("huge/\(name(1, of: 2))", file.bytes)
      #expect(throws: (any Error).self) { _ = try GGUFFile(path) }
    }
  }

  var tensorCount: Int { get throws { try GGUFFile(Self.whole).names.count } }
  func said(_ path: FilePath) throws -> String {
    let text = try #require(message { _ = try ModelSource(path) })
    #expect(text.count <= 300, "\(text)")
    return text
  }

  @Test(arguments: [0, 1, 5]) func `all parts are read, whichever is named, or their directory`(first: Int) throws {
    let count = try tensorCount
    let paths = write(try parts([first, 3, count - 3 - first]))
    let whole = try ModelSource(Self.whole)
    for path in paths + [directory("s")] {
      let source = try ModelSource(path)
      #expect(source.path == paths[0] && source.model.shape == whole.model.shape && source.gguf?.metadata.values.count == (whole.gguf?.metadata.values.count ?? 0) + 3)
      #expect(source.tensors.names == whole.tensors.names)
      for name in whole.tensors.names { #expect(try source.tensors.bytes(of: name) == whole.tensors.bytes(of: name), "\(name)") }
    }
    #expect(GGUFFile.files(of: paths[1]) == paths)
  }

  @Test func `parts that are not there are named`() throws {
    let count = try tensorCount
    let paths = write(try parts([2, 2, 2, count - 6]))
    remove(paths[1])
    remove(paths[3])
    for path in [paths[0], directory("s")] {
      let text = try said(path)
      #expect(text.contains("part 1 of a model in 4 parts") && text.contains("m-00002-of-00004.gguf, m-00004-of-00004.gguf are not beside it"), "\(text)")
    }
  }

  @Test func `a part under another name says which it should have`() throws {
    let all = try parts([2, try tensorCount - 2])
    #expect(try said(directory.write("a/other.gguf", all[1])).contains("should end in -00002-of-00002.gguf"))
    #expect(try said(directory.write("b/\(name(1, of: 2))", all[1])).contains("should end in -00002-of-00002.gguf"))
  }

  @Test func `parts of two models are not taken for one`() throws {
    let count = try tensorCount
    let all = try parts([2, count - 2])
    // Another number of tensors in all, a whole file, the same tensors twice, fewer tensors than there should be.
    let foreign = try parts([2, count - 2], total: count + 1)[1]
    let whole = try #require(contents(Self.whole))
    let twice = try parts([0, count])[1]
    let fewer = try parts([2, count - 3, 1], count: 2)[1]
    for (place, other, words) in [("a", foreign, "no part of the same model"), ("b", whole, "calls itself a whole file"), ("c", twice, "they are of two models"), ("d", fewer, "another model")] {
      #expect(try said(write([all[0], other], in: place)[0]).contains(words))
    }
  }

  @Test func `parts joined by cat are told from a whole file`() throws {
    let all = try parts([2, try tensorCount - 2])
    let text = try said(directory.write("joined.gguf", all[0] + all[1]))
    #expect(text.contains("cannot be joined by 'cat'") && text.contains("llama-gguf-split --merge"))
    let empty = try parts([0, try tensorCount])
    #expect(try said(directory.write("empty.gguf", empty[0] + empty[1])).contains("cannot be joined by 'cat'"))
  }

  @Test func `of several models in a directory one must be named, other GGUF files beside one are none`() throws {
    write(try parts([2, try tensorCount - 2]))
    directory.write("s/mmproj-m.gguf", "GGUF")
    directory.write("s/m-imatrix.gguf", "GGUF")
    #expect(try FoundSource(at: directory("s")).kind == .gguf)
    directory.write("s/m-Q8_0.gguf", try #require(contents(Self.whole)))
    let text = try said(directory("s"))
    #expect(text.contains("2 GGUF models: m-00001-of-00002.gguf, m-Q8_0.gguf") && text.contains("Name one"))
  }

  @Test(
    arguments: [
      ("general.type", "adapter", nil), ("general.type", "mmproj", "projector"), ("general.type", "imatrix", "importance matrix"),
      ("general.architecture", "controlvector", "control vector"), ("general.architecture", "clip", "projector"), ("general.name", "x", "no tensors"),
    ] as [(String, String, String?)])
  func `a GGUF file that is no model says what it is`(key: String, value: String, words: String?) throws {
    var file = GGUFBytes()
    file.start(values: 1)
    file.string(key)
    file.u32(8)
    file.string(value)
    let path = directory.write("x.gguf", file.bytes)
    if let words {
      #expect(try said(path).contains(words))
    } else {
      #expect(try FoundSource(at: path).kind == .ggufAdapter)
      #expect(try said(path).contains("LoRA adapter in a GGUF file"))
    }
  }

  @Test func `what stands in the place of a part is told, and which part`() throws {
    let count = try tensorCount
    let paths = write(try parts([2, 2, count - 4]))
    directory.write("s/\(name(2, of: 3))", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    let pointer = try said(paths[0])
    #expect(pointer.contains("\(name(2, of: 3)): this is no GGUF file: it is a Git LFS pointer"), "\(pointer)")
    remove(paths[1])
    for ending in [".part", ".incomplete", ".0123.incomplete", ".crdownload"] {
      directory.write("s/\(name(2, of: 3))\(ending)", "GGUF")
      for path in [paths[0], directory("s")] {
        let unfinished = try said(path)
        #expect(unfinished.contains("\(name(2, of: 3))\(ending). Finish it"), "\(unfinished)")
      }
      remove(directory("s/\(name(2, of: 3))\(ending)"))
    }
  }

  @Test func `parts under other names are known as the parts of one model`() throws {
    for (index, part) in try parts([2, 2, try tensorCount - 4]).enumerated() { directory.write("r/0000\(index + 1)-of-00003.part.gguf", part) }
    let text = try said(directory("r"))
    #expect(text.contains("parts of one model in 3 parts") && text.contains("00001-of-00003.part.gguf should be NAME-00001-of-00003.gguf"), "\(text)")
  }
}
