import Files
import SystemPackage
import TestSupport
import Testing

/// Against control groups as Linux shows them, in files of our own.
struct ProcessorsTests {
  let root = TemporaryDirectory()
  var count: Int { Processors.count(root: root.path.string) }
  var memory: Int? { Processors.availableMemory(root: root.path.string) }

  @Test func `without control groups the processors are those of the affinity mask`() {
    #expect(count >= 1 && memory == nil)
    #expect(Processors.count >= 1 && Processors.count <= count)
  }
  @Test(.enabled(if: Processors.count > 1, "one processor cannot be limited")) func `a quota of version 2 counts, the least on the way up`() {
    let all = count
    root.write("proc/self/cgroup", "0::/outer/inner\n")
    root.write("sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n")
    root.write("sys/fs/cgroup/outer/cpu.max", "100000 100000\n")
    #expect(count == 1)
    root.write("sys/fs/cgroup/outer/cpu.max", "110000 100000\n")
    #expect(count == 2, "a part of a processor counts as one")
    root.write("sys/fs/cgroup/outer/cpu.max", "90000000 100000\n")
    #expect(count == all, "a quota does not add processors")
    root.write("sys/fs/cgroup/cpu.max", "50000 100000\n")
    #expect(count == 1, "the container's own group may be mounted as the root")
  }
  @Test(.enabled(if: Processors.count > 1, "one processor cannot be limited")) func `a quota of version 1 counts`() {
    let all = count
    root.write("proc/self/cgroup", "12:memory:/box\n4:cpu,cpuacct:/box\n0::/\n")
    root.write("sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "-1\n")
    root.write("sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n")
    #expect(count == all)
    root.write("sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "100000\n")
    #expect(count == 1)
  }
  @Test func `damaged files are no limits`() {
    let all = count
    for text in ["", "x", ":", "0:", "0::", "0::/\n\n:::", String(repeating: "a", count: 20_000), "0::/" + String(repeating: "b/", count: 9000)] {
      root.write("proc/self/cgroup", text)
      for quota in ["", "0 0", "-5 7", "1 0", "max", "9999999999999999999999 1"] {
        root.write("sys/fs/cgroup/cpu.max", quota)
        root.write("sys/fs/cgroup/memory.max", quota)
        #expect(count == all, "\(quota)")
      }
    }
  }
  @Test func `workers have room in half of the memory`() {
    #expect(Processors.workers(memory: 16 << 20, count: 8, available: nil) == 8)
    #expect(Processors.workers(memory: 16 << 20, count: 8, available: 1 << 30) == 8)
    #expect(Processors.workers(memory: 16 << 20, count: 64, available: 1 << 30) == 32)
    #expect(Processors.workers(memory: 16 << 20, count: 8, available: 1) == 1)
    #expect(Processors.workers(memory: 0, count: 8, available: 100) == 8)
  }
}
