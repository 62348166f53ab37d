import Hummingbird

/// `GET /v1/models`: a list of the one model served.
struct ModelsEndpoint: Sendable {
  let core: ServingCore
  let created = WallClock.seconds
  var route: Route {
    Route(.get, "/v1/models") { _, _ in
      Response(json: [
        "object": "list",
        "data": [
          [
            "id": .string(core.options.modelName), "object": "model", "created": .int(created),
            "owned_by": "tensorrt_llm", "max_model_len": .int(core.engine.limits.maximumSequenceLength),
          ]
        ],
      ])
    }
  }
}
