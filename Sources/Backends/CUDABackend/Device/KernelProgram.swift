import CUDAKernels

/// Kernels that are compiled together. There are several programs because compiling takes seconds: they are compiled side by side, and
/// those that do not know the size of heads serve every model.
package struct KernelProgram: Sendable, Hashable {
  package let name: String
  /// One after the other; names that a file needs stand in the files before it.
  private let files: [String]
  /// `DK_HEAD` is defined: elements of an attention head.
  private let knowsHeads: Bool
  /// `DK_WIDE` is defined: tiles of `dk_linear_wide`.
  private let tiles: [WideProductShape.Tile]

  private init(_ name: String, _ files: [String], knowsHeads: Bool = false, tiles: [WideProductShape.Tile] = []) {
    (self.name, self.files, self.knowsHeads, self.tiles) = (name, files, knowsHeads, tiles)
  }

  package static let rows = KernelProgram("rows", ["rows.cu"])
  static let weights = KernelProgram("weights", ["weights.cu"])
  static let linear = KernelProgram("linear", ["panels.cu", "linear.cu"])
  static let linearRow = KernelProgram("linear_row", ["panels.cu", "linear_row.cu"])
  package static let attention = KernelProgram("attention", ["heads.cu", "attention.cu"], knowsHeads: true)
  static let attentionRow = KernelProgram("attention_row", ["heads.cu", "attention_row.cu"], knowsHeads: true)
  static let attentionPrompt = KernelProgram("attention_prompt", ["heads.cu", "attention_prompt.cu"], knowsHeads: true)
  /// The first tile takes as long as two others.
  static let linearWide: [KernelProgram] = {
    let tiles = WideProductShape.tiles
    let groups = [Array(tiles.prefix(1))] + stride(from: 1, to: tiles.count, by: 2).map { Array(tiles[$0..<min($0 + 2, tiles.count)]) }
    return groups.map { KernelProgram("linear_wide", ["panels.cu", "linear_wide.cu"], tiles: $0) }
  }()

  /// What a card can be given.
  ///
  /// - Parameter architecture: Such as `sm_90a`.
  package static func all(for architecture: String) -> [KernelProgram] {
    let base = [linear, attentionRow, attention, linearRow, rows, weights]
    return architecture == "sm_90a" ? [attentionPrompt] + base + linearWide : base
  }

  /// Kernels of `dk_linear_wide` that it has.
  var wideKernels: [String] { tiles.flatMap(\.names) }

  var source: String {
    (["CUDAArguments.h", "common.cu"] + files).map { name in
      guard let text = unsafe dk_cuda_file(name) else { preconditionFailure("\(name): one of the files in sources.c") }
      return unsafe String(cString: text)
    }.joined()
  }

  func options(architecture: String, headSize: Int) -> [String] {
    // What is computed must not depend on what a compiler finds to fuse.
    var options = ["--gpu-architecture=\(architecture)", "--std=c++17", "--fmad=false"]
    if knowsHeads { options.append("-DDK_HEAD=\(headSize)") }
    if !tiles.isEmpty { options.append("-DDK_WIDE=" + tiles.map(\.definition).joined(separator: " ")) }
    return options
  }
}
