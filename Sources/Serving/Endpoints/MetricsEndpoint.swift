import Hummingbird
import NIOCore

/// `GET /metrics`: Prometheus' text format.
struct MetricsEndpoint: Sendable {
  let core: ServingCore
  var route: Route {
    Route(.get, "/metrics") { _, _ in
      Response(
        status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
        body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
  }

  private var text: String {
    let engine = core.engine.statistics
    var page = PrometheusText()
    page.gauge("drydock_requests_in_flight", "HTTP requests not yet answered in full.", Double(core.drain.inFlight))
    page.gauge("drydock_answering_requests", "Requests with answers in the making.", Double(core.answers.taken))
    page.gauge("drydock_sequences_queued", "Sequences that wait for their first step.", Double(engine.queued))
    page.gauge("drydock_sequences_running", "Sequences in the batch.", Double(engine.running))
    page.gauge("drydock_cache_blocks", "Blocks of the key-value cache.", Double(engine.totalBlocks))
    page.gauge(
      "drydock_cache_use_ratio", "Share of the cache's blocks in use.",
      engine.totalBlocks == 0 ? 0 : 1 - Double(engine.freeBlocks) / Double(engine.totalBlocks))
    page.gauge(
      "drydock_weight_version_info", "Always 1; the label names the weights in use.", 1,
      labels: [("model", core.options.modelName), ("version", core.engine.weightVersion)])
    // 1 is the limit; weights that stay in the processor's caches may be read a little faster than they were when it was measured.
    if let limit = core.engine.memoryReadRate, limit > 0, let rate = engine.decodeReadRate {
      page.gauge("drydock_memory_read_share", "Share of the memory-read limit that recent decode steps reached.", rate / limit)
    }
    page.counter("drydock_steps_total", "Engine steps.", Int(engine.steps))
    page.counter("drydock_preemptions_total", "Sequences that lost their cache to others.", Int(engine.preemptions))
    page.counter("drydock_prompt_tokens_total", "Prompt tokens taken in.", Int(engine.prefillTokens + engine.cachedPromptTokens))
    page.counter("drydock_cached_prompt_tokens_total", "Prompt tokens found in the cache.", Int(engine.cachedPromptTokens))
    page.counter("drydock_generated_tokens_total", "Tokens generated.", Int(engine.generatedTokens))
    page.counters(
      "drydock_requests_total", "HTTP requests answered.",
      core.metrics.requestCounts.map { ([("path", $0.path), ("status", String($0.status))], $1) })
    page.histogram(
      "drydock_request_duration_seconds", "From header to the end of the answer.", core.metrics.requestDuration)
    page.histogram("drydock_time_to_first_token_seconds", "From start to an answer's first token.", core.metrics.timeToFirstToken)
    page.histogram("drydock_token_interval_seconds", "Between two tokens of an answer.", core.metrics.tokenInterval)
    return page.text
  }
}
