import CPUKernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// An array that ends where an unreadable page begins: a kernel that reads or writes past its end crashes the test.
///
/// Starts as aligned as its byte count allows, so odd sizes also try unaligned addresses.
@safe final class Guarded<Element: BitwiseCopyable> {
  let count: Int
  let base: UnsafeMutablePointer<Element>
  private let mapping: UnsafeMutableRawPointer
  private let mappedByteCount: Int

  init(_ elements: [Element]) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let byteCount = elements.count * MemoryLayout<Element>.stride
    let readable = (byteCount + page - 1) / page * page
    count = elements.count
    mappedByteCount = readable + page
    guard let map = unsafe mmap(nil, readable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0), unsafe map != MAP_FAILED
    else { fatalError("mmap failed, errno \(errno)") }
    guard unsafe mprotect(map + readable, page, PROT_NONE) == 0 else { fatalError("mprotect failed, errno \(errno)") }
    unsafe mapping = map
    unsafe base = (map + (readable - byteCount)).bindMemory(to: Element.self, capacity: elements.count)
    for index in elements.indices { unsafe base[index] = elements[index] }
  }
  convenience init(repeating element: Element, count: Int) { self.init(Array(repeating: element, count: count)) }
  deinit { unsafe munmap(mapping, mappedByteCount) }

  var raw: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(base) }
  subscript(_ index: Int) -> Element {
    get {
      precondition(index < count)
      return unsafe base[index]
    }
    set {
      precondition(index < count)
      unsafe base[index] = newValue
    }
  }
  var elements: [Element] { (0..<count).map { self[$0] } }
}

extension Guarded where Element == Float {
  var bits: [UInt32] { elements.map(\.bitPattern) }
}
