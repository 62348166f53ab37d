#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

extension RotaryEmbedding {
  /// Radians per position for each of the `dimension / 2` planes.
  public var frequencies: [Double] {
    (0..<dimension / 2).map { plane in
      let frequency = pow(base, -2 * Double(plane) / Double(dimension))
      switch scaling {
      case .none: return frequency
      case .linear(let factor): return frequency / factor
      case .llama3(let factor, let low, let high, let original):
        let wavelength = 2 * Double.pi / frequency
        if wavelength < original / high { return frequency }
        if wavelength > original / low { return frequency / factor }
        let smooth = (original / wavelength - low) / (high - low)
        return (1 - smooth) * frequency / factor + smooth * frequency
      }
    }
  }

  /// Cosines and sines of some positions, each `[positions, dimension / 2]`.
  public func tables(positions: Range<Int>) -> (cosines: [Float], sines: [Float]) {
    let frequencies = frequencies
    var cosines: [Float] = []
    var sines: [Float] = []
    cosines.reserveCapacity(positions.count * frequencies.count)
    sines.reserveCapacity(positions.count * frequencies.count)
    for position in positions {
      for frequency in frequencies {
        // float32 angles, as the models were trained with: position * float32(frequency).
        let angle = Float(position) * Float(frequency)
        cosines.append(cosf(angle))
        sines.append(sinf(angle))
      }
    }
    return (cosines, sines)
  }
}
