#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif
import JSON
import Tensors

/// How a GGUF file stretches rotary embedding, in Hugging Face's words.
///
/// In llama.cpp's order: a factor without a type is linear, `rope.scale_linear` counts where `rope.scaling.factor` is
/// missing, and a table of divisors is applied besides.
struct GGUFRotaryScaling {
  /// A `rope_scaling` object, or nil for none.
  let json: JSONValue?
  let warnings: [SourceWarning]

  init(_ settings: GGUFSettings, base: Double, dimension: Int) throws {
    var warnings: [SourceWarning] = []
    let kind = try settings.optional("rope.scaling.type", "a string", \.string) ?? "linear"
    guard ["none", "linear"].contains(kind) else {
      throw settings.failed("rope.scaling.type", "is '\(kind)', which is not supported. Supported: none, linear and Llama 3's")
    }
    if let attention = try settings.number("rope.scaling.attn_factor"), attention != 1 {
      throw settings.failed("rope.scaling.attn_factor", "is \(attention), which is not supported")
    }
    let (new, old) = (try settings.number("rope.scaling.factor"), try settings.number("rope.scale_linear"))
    if let new, let old, new != old {
      warnings.append(settings.warning("rope.scale_linear", "is \(old), but rope.scaling.factor is \(new), which counts"))
    }
    let given = new ?? old ?? 1
    guard given >= 0 else { throw settings.failed("rope.scaling.factor", "is \(given), expected a number above 0") }
    let factor = given == 0 ? 1 : given  // as llama.cpp takes it
    if kind == "none", factor != 1 {
      warnings.append(settings.warning(new == nil ? "rope.scale_linear" : "rope.scaling.factor", "is \(factor), but rope.scaling.type is 'none', which counts"))
    }
    self.warnings = warnings
    let isLinear = kind == "linear" && factor != 1
    guard settings.file.tensors[Self.table] != nil else {
      _ = try settings.optional("rope.scaling.original_context_length", "an integer", \.int)  // only other scalings ask for it
      json = isLinear ? ["rope_type": "linear", "factor": .double(factor)] : nil
      return
    }
    guard !isLinear else {
      throw settings.failed("rope.scaling.factor", "is \(factor) beside a table '\(Self.table)': both at once are not supported")
    }
    json = try Self.llama3(settings, base: base, dimension: dimension)
  }

  private static let table = "rope_freqs.weight"
  /// What Meta published; the file does not say.
  private static let (low, high) = (1.0, 4.0)

  /// Llama 3's scaling stands in GGUF only as a table of divisors, one for each plane. Its parameters are taken from the
  /// table and the values that Meta published (low 1, high 4); a table that they do not explain is refused.
  private static func llama3(_ settings: GGUFSettings, base: Double, dimension: Int) throws -> JSONValue? {
    let file = settings.file
    guard let description = file.description(of: table), description.elementType == .float32, description.shape == [dimension / 2] else {
      throw WeightSourceError(
        file.origin, .shape(tensor: table, found: file.tensors[table]?.shape ?? [], expected: [dimension / 2], why: "half the rotary dimensions, float32"))
    }
    let bytes = try file.bytes(of: table)
    let found = unsafe bytes.withUnsafeBytes { buffer in
      (0..<dimension / 2).map { unsafe Double(buffer.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self)) }
    }
    let factor = found.max() ?? 1
    if found.allSatisfy({ $0 == 1 }) { return nil }
    let said = try settings.optional("rope.scaling.original_context_length", "an integer", \.int)
    let original = said ?? inferredLength(found, factor: factor, base: base, dimension: dimension) ?? 8192
    for (plane, divisor) in found.enumerated() {
      let expected = Self.divisor(plane, factor: factor, original: Double(original), base: base, dimension: dimension)
      guard abs(divisor - expected) <= 1e-3 * expected else {
        throw WeightSourceError(
          file.origin,
          .other(
            "'\(table)' holds rotary divisors that are not Llama 3's (plane \(plane): \(divisor), expected \(expected)). "
              + "Convert from the Hugging Face model instead, whose configuration says how they were made."))
      }
    }
    return [
      "rope_type": "llama3", "factor": .double(factor), "low_freq_factor": .double(low), "high_freq_factor": .double(high),
      "original_max_position_embeddings": .int(original),
    ]
  }

  private static func wavelength(_ plane: Int, base: Double, dimension: Int) -> Double {
    2 * Double.pi * pow(base, 2 * Double(plane) / Double(dimension))
  }

  private static func divisor(_ plane: Int, factor: Double, original: Double, base: Double, dimension: Int) -> Double {
    let wavelength = wavelength(plane, base: base, dimension: dimension)
    if wavelength < original / high { return 1 }
    if wavelength > original / low { return factor }
    let smooth = (original / wavelength - low) / (high - low)
    return 1 / ((1 - smooth) / factor + smooth)
  }

  /// The original length that the planes between the unscaled and the fully scaled ones show, where they agree; 8192
  /// where that explains the table too, since most files mean it.
  private static func inferredLength(_ found: [Double], factor: Double, base: Double, dimension: Int) -> Int? {
    let fits = { (length: Double) in
      found.enumerated().allSatisfy { plane, divisor in
        let expected = Self.divisor(plane, factor: factor, original: length, base: base, dimension: dimension)
        return abs(divisor - expected) <= 1e-3 * expected
      }
    }
    guard factor > 1, !fits(8192), let plane = found.firstIndex(where: { $0 > 1.001 && $0 < factor * 0.999 }) else { return nil }
    let smooth = (1 / found[plane] - 1 / factor) / (1 - 1 / factor)
    let length = wavelength(plane, base: base, dimension: dimension) * (smooth * (high - low) + low)
    guard length.isFinite, length >= 1, length < 1e9 else { return nil }
    return fits(length.rounded()) ? Int(length.rounded()) : nil
  }
}
