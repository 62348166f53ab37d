import CUDADriver

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Work of a card in order. The calling thread must use the card (``Device/use()``).
@safe final class Stream: @unchecked Sendable {  // its owner uses it from one thread at a time
  private let device: Device
  private let stream: dk_cuda_stream

  /// - Parameter isUrgent: Its kernels get room before those of streams that are not.
  init(_ device: Device, isUrgent: Bool = false) throws(CUDAError) {
    var stream: dk_cuda_stream?
    try check(unsafe dk_cuda_make_stream(&stream, isUrgent ? 1 : 0), "making a stream")
    guard let stream = unsafe stream else { throw CUDAError("the NVIDIA driver gives no stream") }
    unsafe self.stream = unsafe stream
    self.device = device
  }
  deinit {
    try? device.use()
    _ = unsafe dk_cuda_destroy_stream(stream)
  }

  /// - Parameter source: Stays as it is until ``wait()``, unless it is ordinary memory, which is copied before this returns.
  @unsafe func copy(_ source: UnsafeRawBufferPointer, to address: dk_cuda_pointer, _ what: String) throws(CUDAError) {
    guard let base = source.baseAddress, source.count > 0 else { return }
    try check(unsafe dk_cuda_copy_in(address, base, source.count, stream), "copying \(what) to \(device.name)")
  }
  @unsafe func copy(from address: dk_cuda_pointer, byteCount: Int, to destination: UnsafeMutableRawPointer, _ what: String) throws(CUDAError) {
    try check(unsafe dk_cuda_copy_out(destination, address, byteCount, stream), "copying \(what) from \(device.name)")
  }

  /// - Parameter argument: The structure that the kernel takes.
  func launch<Argument: BitwiseCopyable>(
    _ kernel: Kernel, grid: (Int, Int, Int), threads: Int, sharedMemory: Int = 0, _ argument: Argument
  ) throws(CUDAError) {
    var shape = dk_cuda_launch_shape(
      grid: (UInt32(grid.0), UInt32(grid.1), UInt32(grid.2)), block: (UInt32(threads), 1, 1), shared_memory: UInt32(sharedMemory),
      overlaps: device.overlapsKernels ? 1 : 0)
    var argument = argument
    let code = unsafe dk_cuda_launch(kernel.function, &shape, &argument, stream)
    try check(code, "launching \(kernel.name)")
  }

  func wait() throws(CUDAError) { try check(unsafe dk_cuda_wait(stream), "waiting for \(device.name)") }

  func record(_ event: Event) throws(CUDAError) { try check(unsafe dk_cuda_record(event.event, stream), "recording an event") }

  /// What comes later here waits for another stream's event.
  func follow(_ event: Event) throws(CUDAError) { try check(unsafe dk_cuda_follow(stream, event.event), "waiting for an event") }

  /// Seconds that the card takes for what `work` launches.
  func time(_ work: () throws(CUDAError) -> Void) throws(CUDAError) -> Double {
    let (start, end) = (try Event(device), try Event(device))
    try record(start)
    try work()
    try record(end)
    try wait()
    var milliseconds: Float = 0
    try check(unsafe dk_cuda_milliseconds(start.event, end.event, &milliseconds), "measuring")
    return Double(milliseconds) / 1000
  }

  /// What `work` launches, to be launched again as one.
  func record(_ work: () throws(CUDAError) -> Void) throws(CUDAError) -> Graph {
    try check(unsafe dk_cuda_begin_recording(stream), "recording a step")
    do { try work() } catch {
      _ = unsafe dk_cuda_end_recording(stream, nil)
      throw error
    }
    var graph: dk_cuda_graph?
    try check(unsafe dk_cuda_end_recording(stream, &graph), "recording a step")
    guard let graph = unsafe graph else { throw CUDAError("the NVIDIA driver gives no graph") }
    return unsafe Graph(device, graph)
  }
  /// Brings it to the card, so that its first launch is as fast as others.
  func upload(_ graph: Graph) throws(CUDAError) {
    try check(unsafe dk_cuda_upload_graph(graph.graph, stream), "bringing a step to \(device.name)")
    try wait()
  }
  func launch(_ graph: Graph) throws(CUDAError) { try check(unsafe dk_cuda_launch_graph(graph.graph, stream), "launching a step") }
}

/// Recorded launches.
@safe final class Graph: @unchecked Sendable {  // immutable
  private let device: Device
  let graph: dk_cuda_graph
  @unsafe init(_ device: Device, _ graph: dk_cuda_graph) {
    self.device = device
    unsafe self.graph = unsafe graph
  }
  deinit {
    try? device.use()
    _ = unsafe dk_cuda_destroy_graph(graph)
  }
}

/// A place in a stream.
@safe final class Event: @unchecked Sendable {  // recorded by one thread at a time
  let event: dk_cuda_event
  private let device: Device
  /// - Parameter sleeps: Who waits for it leaves the processor to others; it keeps no time then.
  init(_ device: Device, sleeps: Bool = false) throws(CUDAError) {
    var event: dk_cuda_event?
    try check(unsafe dk_cuda_make_event(&event, sleeps ? 1 : 0), "making an event")
    guard let event = unsafe event else { throw CUDAError("the NVIDIA driver gives no event") }
    unsafe self.event = unsafe event
    self.device = device
  }
  deinit {
    try? device.use()
    _ = unsafe dk_cuda_destroy_event(event)
  }
  /// Until the card has come there; at once where it was never recorded.
  func wait() throws(CUDAError) { try check(unsafe dk_cuda_wait_for_event(event), "waiting for \(device.name)") }

  /// Whether the card has come there; true where it was never recorded.
  var isDone: Bool {
    get throws(CUDAError) {
      let code = unsafe dk_cuda_query_event(event)
      if code == Int32(DK_CUDA_NOT_READY) { return false }
      try check(code, "waiting for \(device.name)")
      return true
    }
  }
  /// Waits in naps of some 50 µs, which leaves the processor to others and wakes up sooner than the driver's own sleep.
  func nap() throws(CUDAError) { while try !isDone { _ = usleep(20) } }
}
