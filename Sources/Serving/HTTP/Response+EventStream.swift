import HTTPTypes
import Hummingbird
import JSON
import Logging

extension Response {
  /// A reply sent as events while it is made.
  ///
  /// The status has gone out before the first event, so an error becomes an event of OpenAI's error shape and the
  /// stream still ends with `[DONE]`.
  static func eventStream(
    context: ServingContext, _ write: @escaping @Sendable (inout EventStream) async throws -> Void
  ) -> Response {
    Response(
      status: .ok, headers: EventStream.headers,
      body: ResponseBody { writer in
        var events = EventStream(writer: writer)
        do {
          try await write(&events)
        } catch {
          let failure = APIError(error)
          context.record.note {
            $0.failure = failure.message
            $0.status = failure.status
          }
          // Somebody who has left reads no events; the connection ends here.
          if failure.status == 499 { throw error }
          if failure.status >= 500 {
            context.logger.error("answer failed", metadata: ["error": "\(failure.message)"])
          }
          try await events.send(failure.json)
        }
        try await events.finish()
      })
  }
}

extension RequestRecord {
  func note(_ usage: TokenCounts, _ finishReasons: [String], _ versions: WeightVersions) {
    note {
      if let versions = versions.description { $0.weightVersion = versions }
      $0.completionTokens = usage.completionTokens
      $0.finishReasons = finishReasons
    }
  }
  func note(_ usage: TokenCounts, _ sheet: AnswerSheet) {
    note(usage, sheet.entries.compactMap { $0.end?.reason }, sheet.versions)
  }
}
