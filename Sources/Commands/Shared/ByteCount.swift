import ArgumentParser

/// A number of bytes as people write it: `20GB`, `512 MiB`, `1000000`.
struct ByteCount: ExpressibleByArgument, Equatable {
  let count: Int

  init?(argument: String) {
    guard let match = argument.wholeMatch(of: #/(\d+(?:\.\d+)?)\s*([kKMGT]?)(i?)B?/#), let number = Double(match.1) else { return nil }
    let power = ["": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4][String(match.2)] ?? 0
    guard power > 0 || match.3.isEmpty else { return nil }
    let bytes = (0..<power).reduce(number) { product, _ in product * (match.3.isEmpty ? 1000 : 1024) }
    guard bytes < 1e18 else { return nil }
    count = Int(bytes)
  }
  var defaultValueDescription: String { Format.bytes(count) }
}
