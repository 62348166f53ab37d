import CUDADriver

/// A call of the driver or of the kernels' compiler that failed, with the operation and the library's own sentence.
public struct CUDAError: Error, Equatable, Sendable, CustomStringConvertible {
  public let description: String
  /// The driver's code; 0 where no call was made.
  let code: Int32

  init(_ description: String) { (self.description, code) = (description, 0) }

  /// - Parameter operation: What was tried, such as "copying weights".
  init(code: Int32, _ operation: String) {
    self.code = code
    let (name, text) = unsafe (String(cString: dk_cuda_error_name(code)), String(cString: dk_cuda_error_text(code)))
    description = "\(operation): " + (name.isEmpty ? "error \(code) of the NVIDIA driver" : "\(text) (\(name))")
  }

  var isOutOfMemory: Bool { code == Int32(DK_CUDA_OUT_OF_MEMORY) }
}

func check(_ code: Int32, _ operation: @autoclosure () -> String) throws(CUDAError) {
  guard code == 0 else { throw CUDAError(code: code, operation()) }
}
