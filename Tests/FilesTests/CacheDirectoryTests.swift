import Files
import SystemPackage
import TestSupport
import Testing

@Suite struct CacheDirectoryTests {
  let directory = TemporaryDirectory(inMemory: true)

  @Test func `a directory in use is not removed, and goes when nobody uses it`() throws {
    directory.write("kept/a", [1, 2, 3])
    let kept = directory("kept")
    let use = try #require(try DirectoryUse.begin(kept))
    let second = try #require(try DirectoryUse.begin(kept))
    #expect(try !CacheDirectory.remove(kept))
    use.end()
    #expect(try !CacheDirectory.remove(kept))
    #expect(contents(kept.appending("a")) == [1, 2, 3])
    second.end()
    #expect(try CacheDirectory.remove(kept))
    #expect(names(in: directory.path) == [])
    #expect(try DirectoryUse.begin(kept) == nil)
    #expect(try CacheDirectory.remove(kept), "what is not there needs no removing")
  }

  @Test func `a directory that must go loses its name at once and the rest when nobody uses it`() throws {
    directory.write("broken/a", [1])
    let use = try #require(try DirectoryUse.begin(directory("broken")))
    #expect(try CacheDirectory.remove(directory("broken"), evenIfUsed: true))
    directory.write("broken/a", [2])
    #expect(try CacheDirectory.remove(directory("broken"), evenIfUsed: true))
    #expect(names(in: directory.path)?.count == 1)
    CacheDirectory.sweep(directory.path)
    #expect(names(in: directory.path)?.count == 1, "it is still in use")
    use.end()
    CacheDirectory.sweep(directory.path)
    #expect(names(in: directory.path) == [])
  }

  @Test func `what a dead run left is swept away, and what a live one writes stays`() throws {
    directory.write(".dead.drydock-new/half", [1])
    directory.write(".mine/file", [1])
    directory.write("engine/file", [1])
    let live = try OutputDirectory.begin(directory("live"), as: .engine, notOverlapping: [])
    try live.write("config.json", text: "{}")
    CacheDirectory.sweep(directory.path)
    #expect(names(in: directory.path) == [".live.drydock-new", ".mine", "engine"])
    try live.commit()
    #expect(names(in: directory("live")) == ["config.json"])
  }

  @Test func `one at a time does what only one may do`() throws {
    let path = directory(".work.drydock-new")
    let work = try #require(try ExclusiveWork.begin(path))
    #expect(try ExclusiveWork.begin(path) == nil)
    work.end()
    let next = try #require(try ExclusiveWork.begin(path))
    next.end()
    #expect(names(in: directory.path) == [])
  }

  @Test func `what work claims is known while it lasts`() throws {
    let path = directory(".work.drydock-new")
    #expect(ExclusiveWork.claimed(path) == nil)
    let work = try #require(try ExclusiveWork.begin(path))
    #expect(ExclusiveWork.claimed(path) == nil)
    try work.claim(12345)
    #expect(ExclusiveWork.claimed(path) == 12345)
    work.end()
    #expect(ExclusiveWork.claimed(path) == nil && names(in: directory.path) == [])
    // A process that died holds no lock.
    directory.write(".work.drydock-new/777.bytes", "")
    #expect(ExclusiveWork.claimed(path) == nil)
    let next = try #require(try ExclusiveWork.begin(path))
    #expect(ExclusiveWork.claimed(path) == nil)
    next.end()
  }

  @Test func `what was never written takes no room`() throws {
    directory.write("sparse/full", [UInt8](repeating: 1, count: 100_000))
    let file = try WritableFile(creating: directory("sparse/empty"))
    try file.setSize(10_000_000)
    try file.close()
    #expect(CacheDirectory.byteCount(directory("sparse")) == 10_100_000)
    let allocated = CacheDirectory.allocatedByteCount(directory("sparse"))
    #expect((100_000..<200_000).contains(allocated), "\(allocated)")
  }

  @Test func `a cache directory is made for its owner alone`() throws {
    try CacheDirectory.make(directory("a/b/c"))
    try CacheDirectory.make(directory("a/b/c"))
    for path in ["a", "a/b", "a/b/c"] { #expect(try directory(path).stat().permissions == .ownerReadWriteExecute, "\(path)") }
    #expect(try CacheDirectory.freeSpace(directory("a/b/c")) > 0)
    directory.write("a/b/c/x", [UInt8](repeating: 0, count: 1000))
    directory.write("a/b/c/y", [UInt8](repeating: 0, count: 24))
    #expect(CacheDirectory.byteCount(directory("a/b/c")) == 1024)
  }
}
