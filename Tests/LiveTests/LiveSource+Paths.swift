import Engines
import SystemPackage
import WeightSources

extension LiveSource {
  init(path: String, basePath: String? = nil, baseVersion: String? = nil, adapters: [String] = [], loraScale: Double = 1) {
    self.init(
      SourceRequest(FilePath(path), basePath: basePath.map { FilePath($0) }, adapters: adapters.map { FilePath($0) }, loraScale: loraScale),
      baseVersion: baseVersion)
  }
}
