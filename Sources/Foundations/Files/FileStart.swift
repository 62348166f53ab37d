/// What a file that is not of the expected format seems to be instead, by its first bytes; for messages.
public enum FileStart {
  /// How many bytes are worth looking at.
  public static let byteCount = 512

  /// Whether these are the beginning of the small text that stands for a large file in a Git repository.
  public static func isGitLFSPointer(_ bytes: some Collection<UInt8>) -> Bool { bytes.starts(with: gitLFS) }
  private static let gitLFS = Array("version https://git-lfs".utf8)

  /// What it is and what to do, without a full stop; nil where the bytes say nothing.
  public static func description(of bytes: some Collection<UInt8>) -> String? {
    if bytes.isEmpty { return "it is empty. Download or copy it again" }
    if isGitLFSPointer(bytes) { return "it is a Git LFS pointer, not the file itself. Run 'git lfs pull' in its directory" }
    for (start, what) in known where bytes.starts(with: start) { return what }
    let head = Array(bytes.prefix(byteCount))
    if head.count >= 16, head.allSatisfy({ $0 == 0 }) { return "it begins with zeros, as a download that is not finished does. Download it again" }
    guard head.allSatisfy({ $0 >= 0x20 && $0 < 0x7F || [9, 10, 13].contains($0) }) else { return nil }
    let text = String(decoding: head, as: UTF8.self)
    if text.drop(while: \.isWhitespace).hasPrefix("<") { return "it is a web page, perhaps an error page of the download. Download it again" }
    let line = text.split(whereSeparator: \.isNewline).first.map { String($0.prefix(60)) } ?? ""
    return "it is text ('\(line)'), perhaps an error of the download. Download it again"
  }

  /// A file that llama.cpp wrote before there was GGUF, and what to do; nil for any other.
  public static func oldFormat(of bytes: some Collection<UInt8>) -> (name: String, remedy: String)? {
    if bytes.starts(with: Array("algg".utf8)) {
      return ("a LoRA adapter in the format that llama.cpp had before GGUF (ggla)", "Make a GGUF file of PEFT's adapter with llama.cpp's convert_lora_to_gguf.py, or name PEFT's directory.")
    }
    guard ["lmgg", "fmgg", "tjgg"].contains(where: { bytes.starts(with: Array($0.utf8)) }) else { return nil }
    return ("a model in a format that llama.cpp had before GGUF", "Get the model as a GGUF file, or its directory of safetensors files.")
  }

  private static let known: [([UInt8], String)] = [
    (Array("GGUF".utf8), "it is a GGUF file. Give it a name that ends in .gguf"),
    (Array("PK\u{3}\u{4}".utf8), "it is a zip archive, such as PyTorch's .bin and .pt files are; those are never opened. Use safetensors files"),
    ([0x80, 0x02], "it is a Python pickle, which is never opened. Use safetensors files"),
    ([0x80, 0x04], "it is a Python pickle, which is never opened. Use safetensors files"),
    ([0x89, 0x48, 0x44, 0x46], "it is an HDF5 file, such as Keras writes. Use safetensors files"),
    ([0x1F, 0x8B], "it is compressed (gzip). Unpack it"), ([0x28, 0xB5, 0x2F, 0xFD], "it is compressed (zstd). Unpack it"),
  ]
}
