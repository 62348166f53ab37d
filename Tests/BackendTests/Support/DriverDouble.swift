import CUDADouble
import CUDADriver
import TestSupport
import Testing

/// Each test of a suite with this trait has NVIDIA's driver in host memory, alone. In the end nothing was used wrongly, and everything
/// is given back.
struct DriverDouble: SuiteTrait, TestTrait, TestScoping {
  var isRecursive: Bool { true }

  func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
    try await Turns.driver.take {
      unsafe dk_cuda_substitute(cuda_double_find)
      cuda_double_start(256 << 20)
      defer { dk_cuda_substitute(nil) }
      try await function()
      let problem = unsafe cuda_double_problem().map { unsafe String(cString: $0) }
      #expect(problem == nil)
      #expect(cuda_double_live() == 0)
    }
  }
}

extension Trait where Self == DriverDouble {
  static var driverDouble: Self { DriverDouble() }
}
