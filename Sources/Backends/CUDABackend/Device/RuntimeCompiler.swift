import CUDADriver
import CUDAKernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// NVIDIA's compiler of kernels, which needs no card and no driver.
package struct RuntimeCompiler {
  /// - Parameter path: Of libnvrtc; nil: what the loader or /usr/local/cuda has.
  /// - Throws: In one sentence what is missing.
  package init(path: String? = nil) throws(CUDAError) {
    if let missing = unsafe dk_nvrtc_load(path) { throw CUDAError(unsafe String(cString: missing)) }
  }

  /// Machine code of all kernels.
  ///
  /// - Parameters:
  ///   - architecture: Such as `sm_90a`.
  ///   - headSize: Elements of an attention head.
  /// - Throws: With the compiler's messages.
  package func kernels(architecture: String, headSize: Int) throws(CUDAError) -> [UInt8] {
    let options = Self.options(architecture: architecture, headSize: headSize)
    var copies = unsafe options.map { unsafe UnsafePointer(strdup($0)) }
    defer { for unsafe copy in unsafe copies { unsafe free(UnsafeMutablePointer(mutating: copy)) } }
    var output: UnsafeMutablePointer<CChar>?
    var count = 0
    let code = unsafe dk_nvrtc_compile(dk_cuda_source(), &copies, Int32(options.count), &output, &count)
    defer { unsafe free(output) }
    let bytes = unsafe output.map { unsafe Array(UnsafeRawBufferPointer(start: $0, count: count)) } ?? []
    guard code == 0 else {
      let messages = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      throw CUDAError("compiling kernels for \(architecture): \(unsafe String(cString: dk_nvrtc_error_text(code)))\n\(messages)")
    }
    return bytes
  }

  static func options(architecture: String, headSize: Int) -> [String] {
    // What is computed must not depend on what a compiler finds to fuse.
    ["--gpu-architecture=\(architecture)", "--std=c++17", "--fmad=false", "-DDK_HEAD=\(headSize)"]
  }
}
