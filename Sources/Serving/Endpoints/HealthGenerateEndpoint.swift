import Hummingbird
import Tokenizers

/// `GET /health_generate`: 200 once one token has really been generated, else 500.
struct HealthGenerateEndpoint: Sendable {
  let core: ServingCore
  var route: Route {
    Route(.get, "/health_generate") { _, context in
      let place = try core.admit()
      defer { withExtendedLifetime(place) {} }
      do {
        var ids = try core.engine.tokenize("Hello", addSpecialTokens: true, budget: WorkBudget(timeLimit: .seconds(10)))
        if ids.isEmpty { ids = [0] }
        var fields = SamplingFields()
        fields.maximumTokens = 1
        fields.parameters.temperature = 0
        let group = try AnswerGroup(
          engine: core.engine, prompts: [ids], fields: fields, makesText: false, metrics: core.metrics)
        try await group.run(interruptions: await core.interruptions(context)) { _ in }
      } catch let error as EngineRefusal {
        throw error
      } catch let error as APIError where error.status == 499 || error.status == 503 {
        throw error
      } catch {
        throw APIError.failed("Generating one token failed: \(error)")
      }
      return Response(status: .ok)
    }
  }
}
