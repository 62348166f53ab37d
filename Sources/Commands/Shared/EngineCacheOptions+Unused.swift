extension EngineCacheOptions {
  /// Says which flags mean nothing where the path is an engine already. `none` does: build none, whatever the path is.
  func tellUnused(by engine: String, _ log: CommandLog) {
    let idle = [("--engine_cache", directory.map { $0 != "none" } ?? false), ("--engine_cache_size", size != nil)].filter(\.1).map(\.0)
    guard !idle.isEmpty else { return }
    log.warning("\(idle.joined(separator: ", ")) \(idle.count == 1 ? "has" : "have") no effect: \(engine) is an engine already")
  }
}
