import Files
import SystemPackage
import Tensors

/// A GGUF file, or all parts of one that was split, opened and checked against each other.
///
/// As `llama-gguf-split` and llama.cpp's converters write them: `NAME-00001-of-00003.gguf` and so on, each a GGUF file
/// with its own tensors; the first holds the metadata, and no tensors where it was asked for so.
struct GGUFParts {
  let files: [ReadableFile]
  /// Of all parts, in their order.
  let tensors: [GGUFHeader.Tensor]
  /// Of the first part.
  let metadata: [String: GGUFValue]

  init(_ path: FilePath) throws(GGUFError) {
    let (file, header) = try Self.open(path)
    guard let split = header.split else {
      (files, tensors, metadata) = ([file], header.tensors, header.metadata)
      return
    }
    let failed = { (reason: String) in GGUFError(path: path.string, offset: 0, problem: .split(reason: reason)) }
    let what = "this is part \(split.number + 1) of a model in \(split.count) parts"
    guard try !Self.continues(file, at: header.dataEnd) else {
      throw failed("\(what), with another part after it. Parts cannot be joined by 'cat': take the parts as they were, or join them with llama-gguf-split --merge.")
    }
    guard let name = path.lastComponent?.string, let part = PartName(gguf: name), part.count == split.count,
      part.number == split.number + 1
    else {
      let digits = (split.number + 1, split.count)
      throw failed("\(what), but it is not called so: its name should end in \(PartName.ending(digits.0, of: digits.1)).gguf. Give all parts the names they had.")
    }
    let directory = path.removingLastComponent()
    let missing = part.all.filter { Directory.kind(of: directory.appending($0)) == nil }
    let unfinished = missing.compactMap { UnfinishedDownload.of($0, in: directory) }
    guard unfinished.isEmpty else {
      throw failed("\(what), and \(unfinished.count == 1 ? "the download of another is" : "downloads of others are") not finished: \(NameSummary(unfinished, limit: 3)). Finish \(unfinished.count == 1 ? "it" : "them").")
    }
    guard missing.isEmpty else {
      throw failed("\(what), and \(missing.prefix(3).joined(separator: ", "))\(missing.count > 3 ? ", … (\(missing.count))" : "") \(missing.count == 1 ? "is" : "are") not beside it. Download the missing parts.")
    }
    var files: [ReadableFile] = []
    var tensors: [GGUFHeader.Tensor] = []
    var metadata: [String: GGUFValue] = [:]
    var owners: [String: String] = [:]
    for (index, name) in part.all.enumerated() {
      let (file, header) = try Self.open(directory.appending(name), isPart: true)
      guard let own = header.split, own.count == split.count, own.number == index, own.tensorCount == split.tensorCount else {
        throw GGUFError(
          path: file.path.string, offset: 0,
          problem: .split(
            reason: "this is no part of the same model as \(path.lastComponent?.string ?? ""): it calls itself \(header.split?.description ?? "a whole file"). Download all parts again."))
      }
      for var tensor in header.tensors {
        if let other = owners.updateValue(name, forKey: tensor.name) {
          throw GGUFError(
            path: file.path.string, offset: 0,
            problem: .split(
              reason: "'\(tensor.name)' is in this part and in \(other): they are of two models. Download all parts again."))
        }
        tensor.part = index
        tensors.append(tensor)
      }
      if index == 0 { metadata = header.metadata }
      files.append(file)
    }
    if let expected = split.tensorCount, expected != tensors.count {
      throw failed("the \(split.count) parts hold \(tensors.count) tensors and should hold \(expected): one of them is of another model. Download all parts again.")
    }
    (self.files, self.tensors, self.metadata) = (files, tensors, metadata)
  }

  private static func open(_ path: FilePath, isPart: Bool = false) throws(GGUFError) -> (ReadableFile, GGUFHeader) {
    do {
      try UnfinishedDownload.refuse(path)
    } catch { throw GGUFError(path: path.string, offset: 0, problem: .split(reason: "\(error.problem)")) }
    let file: ReadableFile
    do { file = try ReadableFile(path) } catch { throw GGUFError(path: path.string, offset: 0, problem: .file(error)) }
    if isPart, let start = try? file.start(), !start.starts(with: Array("GGUF".utf8)), let what = FileStart.description(of: start) {
      throw GGUFError(path: path.string, offset: 0, problem: .split(reason: "this is no GGUF file: \(what)."))
    }
    return (file, try GGUFHeader(reading: file))
  }

  /// Whether another GGUF file begins where this one ends.
  private static func continues(_ file: ReadableFile, at end: Int) throws(GGUFError) -> Bool {
    guard end >= 0, end <= file.byteCount - 4 else { return false }
    do throws(FileError) { return try file.bytes(end..<end + 4) == Array("GGUF".utf8) } catch {
      throw GGUFError(path: file.path.string, offset: end, problem: .file(error))
    }
  }
}

extension GGUFHeader {
  /// Which part of how many a file says it is.
  struct Split: CustomStringConvertible {
    /// From 0.
    let number: Int
    let count: Int
    /// Of all parts.
    let tensorCount: Int?
    var description: String { "part \(number + 1) of \(count)" }
  }

  /// nil for a whole file.
  var split: Split? {
    guard let count = metadata["split.count"]?.int, count > 1 else { return nil }
    // File names have five digits: numbers beyond them fit no name, so the part is refused.
    let number = metadata["split.no"]?.int ?? 0
    return Split(
      number: (0...99_999).contains(number) ? number : 99_999, count: min(count, 100_000), tensorCount: metadata["split.tensors.count"]?.int)
  }
}

extension GGUFFile {
  /// What the file is: a model, or something that belongs to one.
  func found() throws -> FoundSource {
    func failed(_ what: String, _ remedy: String) -> WeightSourceError { WeightSourceError(origin, .found(what, remedy: remedy)) }
    let architecture = metadata["general.architecture"]?.string
    switch metadata["general.type"]?.string {
    case "adapter": return FoundSource(kind: .ggufAdapter, path: path)
    case "mmproj": throw failed("this is a projector for images or sound (mmproj), which goes with a language model", "Name the model's own GGUF file.")
    case "imatrix": throw failed("this is an importance matrix, which llama.cpp quantises with", "Name a model's GGUF file.")
    default: break
    }
    switch architecture {
    case "clip": throw failed("this is a projector for images or sound (mmproj), which goes with a language model", "Name the model's own GGUF file.")
    case "imatrix": throw failed("this is an importance matrix, which llama.cpp quantises with", "Name a model's GGUF file.")
    case "controlvector": throw failed("this is a control vector, which changes a model but is none", "Name a model's GGUF file.")
    default: break
    }
    // An adapter that does not say so, which its reader tells.
    if names.contains(where: { $0.hasSuffix(AdapterTensorName.ggufDown) }) { return FoundSource(kind: .ggufAdapter, path: path) }
    if names.isEmpty {
      throw failed("this GGUF file holds \(metadata["tokenizer.ggml.tokens"] == nil ? "no tensors" : "a vocabulary and no weights")", "Name a model's GGUF file.")
    }
    return FoundSource(kind: .gguf, path: path)
  }
}
