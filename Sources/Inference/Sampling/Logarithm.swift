#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Natural logarithm; `-inf` of 0.
package func logarithm(_ value: Double) -> Double { log(value) }
