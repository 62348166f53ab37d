import CUDADriver

/// Work of a card in order. The calling thread must use the card (``Device/use()``).
@safe final class Stream: @unchecked Sendable {  // its owner uses it from one thread at a time
  private let device: Device
  private let stream: dk_cuda_stream

  init(_ device: Device) throws(CUDAError) {
    var stream: dk_cuda_stream?
    try check(unsafe dk_cuda_make_stream(&stream), "making a stream")
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

  /// Seconds that the card takes for what `work` launches.
  func time(_ work: () throws(CUDAError) -> Void) throws(CUDAError) -> Double {
    let (start, end) = (try Event(device), try Event(device))
    try check(unsafe dk_cuda_record(start.event, stream), "measuring")
    try work()
    try check(unsafe dk_cuda_record(end.event, stream), "measuring")
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

@safe private final class Event {
  let event: dk_cuda_event
  init(_ device: Device) throws(CUDAError) {
    var event: dk_cuda_event?
    try check(unsafe dk_cuda_make_event(&event), "measuring")
    guard let event = unsafe event else { throw CUDAError("the NVIDIA driver gives no event") }
    unsafe self.event = unsafe event
  }
  deinit { _ = unsafe dk_cuda_destroy_event(event) }
}
