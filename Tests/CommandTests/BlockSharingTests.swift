import Foundation
import SystemPackage
import TestSupport
import Testing

/// Refit on a file system that shares blocks between files: XFS in a file, mounted for the test.
@Suite(.serialized) struct BlockSharingTests {
  @Test(.enabled(if: Extras.model != nil, Extras.noModel))
  func `weights that do not change take no space where blocks can be shared, and the bytes are the same`() throws {
    let d = TemporaryDirectory()
    guard let mount = try SharingFileSystem(in: d) else {
      try Test.cancel("no file system with shared blocks: this needs mkfs.xfs, loop devices and the right to mount")
    }
    let model = try #require(Extras.model)
    func plain(_ name: String) -> String { d(name).string }
    func shared(_ name: String) -> String { mount.path.appending(name).string }
    try Command.convert.succeed("--model_dir", model.string, "--output_dir", plain("A"), "--dtype", "bfloat16")
    try Command.build.succeed("--checkpoint_dir", plain("A"), "--output_dir", plain("engine"))
    let copied = try Execution.run("/usr/bin/env", ["cp", "-r", plain("engine"), shared("engine")])
    #expect(copied.status == 0)
    let adapter = Project.at("Models/salty-lora").string
    for (name, source, most) in [("unchanged", plain("A"), 20), ("adapted", adapter, 240)] {
      let before = try mount.usedMegabytes()
      try Command.refit.succeed("--engine_dir", shared("engine"), "--checkpoint_dir", source, "--refit_engine_dir", shared(name))
      let taken = try mount.usedMegabytes() - before
      #expect(taken < most, "\(name): \(taken) MB for an engine of 269 MB")
      try Command.refit.succeed("--engine_dir", plain("engine"), "--checkpoint_dir", source, "--refit_engine_dir", plain(name))
      let compared = try Execution.run("/usr/bin/env", ["cmp", shared(name) + "/rank0.engine", plain(name) + "/rank0.engine"])
      #expect(compared.status == 0, "\(compared.output)")
      try Command.refit.succeed("--verify_engine", shared(name))
    }
  }
}

/// Unmounted when it goes.
private final class SharingFileSystem {
  let path: FilePath

  /// - Returns: nil where this machine does not let us.
  init?(in directory: TemporaryDirectory) throws {
    path = directory("mount")
    let image = directory("image")
    try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: true)
    for command in [
      ["truncate", "-s", "2G", image.string], ["mkfs.xfs", "-q", "-m", "reflink=1", image.string],
      ["mount", "-o", "loop", image.string, path.string],
    ] {
      guard try Execution.run("/usr/bin/env", command).status == 0 else { return nil }
    }
  }
  deinit { _ = try? Execution.run("/usr/bin/env", ["umount", path.string]) }

  func usedMegabytes() throws -> Int {
    _ = try Execution.run("/usr/bin/env", ["sync", "-f", path.string])
    let output = try Execution.run("/usr/bin/env", ["df", "--output=used", "-B", "1M", path.string]).output
    return try #require(output.split(separator: "\n").last.flatMap { Int($0.trimmingCharacters(in: .whitespaces)) })
  }
}
