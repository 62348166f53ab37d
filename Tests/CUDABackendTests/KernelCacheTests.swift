import CUDABackend
import Files
import SystemPackage
import TestSupport
import Testing

@Suite struct KernelCacheTests {
  let directory = TemporaryDirectory()

  private func code(
    _ compiled: [UInt8], program: KernelProgram = .attention, architecture: String = "sm_90a", headSize: Int = 64, in path: FilePath?
  ) -> [UInt8] {
    KernelCache(path).code(program, architecture: architecture, headSize: headSize) { compiled }
  }

  @Test func `what was compiled is found again, for the same card and head size only`() {
    let path = directory("a/kernels")
    #expect(code([1, 2, 3], in: path) == [1, 2, 3])
    #expect(code([4], in: path) == [1, 2, 3])
    #expect(code([5], architecture: "sm_80", in: path) == [5] && code([6], headSize: 128, in: path) == [6])
    #expect(code([7], in: nil) == [7])
    #expect(code([8], program: .rows, in: path) == [8])
    #expect(code([9], program: .rows, headSize: 128, in: path) == [8], "these do not know the size of heads")
  }

  @Test func `a file that was cut short or changed is compiled anew`() throws {
    let path = directory("kernels")
    for edit: ([UInt8]) -> [UInt8] in [{ Array($0.dropLast()) }, { $0.dropLast() + [9] }, { _ in [] }, { Array($0.prefix(64)) }] {
      _ = code([1, 2, 3], in: path)
      let file = try #require(names(in: path)?.first.map { path.appending($0) })
      try AtomicFile.write(file, bytes: edit(try ReadableFile.contents(of: file)))
      #expect(code([4, 5], in: path) == [4, 5])
      #expect(code([6], in: path) == [4, 5])
      try AtomicFile.write(file, bytes: [])
    }
  }

  @Test func `a directory that cannot be made is no error`() {
    directory.write("file", "x")
    #expect(code([1], in: directory("file/kernels")) == [1])
  }
}
