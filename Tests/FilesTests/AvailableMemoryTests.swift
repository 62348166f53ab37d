import Files
import TestSupport
import Testing

/// Against the files of Linux, written by the tests.
struct AvailableMemoryTests {
  let root = TemporaryDirectory()
  var memory: Int? { Processors.availableMemory(root: root.path.string) }
  private static let meminfo = "MemTotal:       8000000 kB\nMemFree:        10 kB\nMemAvailable:   4000000 kB\n"

  @Test func `without groups it is what the system has left`() {
    #expect(memory == nil)
    root.write("proc/meminfo", Self.meminfo)
    #expect(memory == 4_096_000_000)
  }

  @Test func `a group of version 2 leaves its limit less what it uses, but files that can be dropped`() {
    root.write("proc/meminfo", Self.meminfo)
    root.write("proc/self/cgroup", "0::/system.slice/server.service\n")
    root.write("sys/fs/cgroup/system.slice/server.service/memory.max", "max\n")
    #expect(memory == 4_096_000_000)
    root.write("sys/fs/cgroup/system.slice/server.service/memory.max", "3000000000\n")
    #expect(memory == 3_000_000_000)
    root.write("sys/fs/cgroup/system.slice/server.service/memory.current", "2500000000\n")
    #expect(memory == 500_000_000)
    root.write("sys/fs/cgroup/system.slice/server.service/memory.stat", "anon 500000000\nfile 2000000000\nactive_file 400000000\ninactive_file 1500000000\n")
    #expect(memory == 2_400_000_000)
    root.write("sys/fs/cgroup/system.slice/server.service/memory.high", "1000000000\n")
    #expect(memory == 400_000_000, "beyond memory.high the group is slowed down")
    root.write("sys/fs/cgroup/system.slice/memory.max", "200000000\n")
    #expect(memory == 200_000_000, "the groups above bound it too")
    root.write("sys/fs/cgroup/system.slice/memory.current", "900000000\n")
    #expect(memory == 0)
  }

  @Test func `the group of a container is the root that it sees`() {
    root.write("proc/meminfo", Self.meminfo)
    for group in ["0::/\n", "0::/docker/not-visible-here\n", "0::/../../beside\n"] {
      root.write("proc/self/cgroup", group)
      root.write("sys/fs/cgroup/memory.max", "1000000000\n")
      root.write("sys/fs/cgroup/memory.current", "300000000\n")
      #expect(memory == 700_000_000, "\(group)")
    }
  }

  @Test func `a group of version 1 counts beside an empty hierarchy of version 2`() {
    root.write("proc/meminfo", Self.meminfo)
    root.write("proc/self/cgroup", "9:name=systemd:/\n4:memory:/box/inner\n2:cpuacct:/\n0::/\n")
    root.write("sys/fs/cgroup/memory/box/inner/memory.limit_in_bytes", "9223372036854771712\n")
    #expect(memory == 4_096_000_000)
    root.write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "2147483648\n")
    root.write("sys/fs/cgroup/memory/box/memory.usage_in_bytes", "2000000000\n")
    root.write("sys/fs/cgroup/memory/box/memory.stat", "active_file 1\ninactive_file 2\ntotal_active_file 500000000\ntotal_inactive_file 1000000000\n")
    #expect(memory == 2_147_483_648 - 500_000_000)
  }

  @Test func `what makes no sense is no limit, and never below nothing`() {
    root.write("proc/self/cgroup", "0::/box\n")
    for text in ["", "\n", "x", "-1", "0", "1 2", "99999999999999999999999", "9223372036854775807", "1e9", String(repeating: "9", count: 100_000)] {
      root.write("sys/fs/cgroup/box/memory.max", text)
      #expect(memory == nil, "\(text.prefix(30))")
      root.write("proc/meminfo", "MemAvailable: \(text) kB\n")
      #expect(text == "0" ? memory == 0 : memory == nil || text == "1 2", "\(text.prefix(30))")
      remove(root("proc/meminfo"))
    }
    root.write("sys/fs/cgroup/box/memory.max", "1000\n")
    root.write("sys/fs/cgroup/box/memory.current", "500\n")
    for text in ["", "inactive_file", "inactive_file x\n", "inactive_file -5\n", "inactive_file 99999999999999999999\n", "file 300\n", "\n\n  \n"] {
      root.write("sys/fs/cgroup/box/memory.stat", text)
      #expect(memory == 500, "\(text)")
    }
    root.write("sys/fs/cgroup/box/memory.stat", "inactive_file 100000\n")
    #expect(memory == 1000, "no more is freed than is used")
    root.write("sys/fs/cgroup/box/memory.current", "garbage")
    #expect(memory == 1000)
  }

  @Test func `this machine says something`() throws {
    let memory = try #require(Processors.availableMemory)
    #expect(memory > 0 && memory <= Processors.machineMemory ?? .max)
  }
}
