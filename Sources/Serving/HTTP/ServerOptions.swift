public import Tokenizers

/// How a server listens, what it lets in, and how long it waits. Durations are bounds, not aims.
public struct ServerOptions: Sendable {
  /// A name or an address. `localhost` listens on 127.0.0.1 only.
  public var host = "localhost"
  /// 0 lets the system choose; the log says which.
  public var port = 8000
  /// The name clients give as `model`.
  public var modelName: String
  /// More names that are taken for it; replies have the first.
  public var otherModelNames: [String] = []
  /// What `/version` answers.
  public var version: String
  /// Where set, every path but health, `/version` and the page's files needs `Authorization: Bearer KEY`.
  public var apiKey: Secret?
  /// nil: HTTP without TLS.
  public var certificates: CertificateFiles?
  /// Web pages that may use the server from browsers; nil: none but its own.
  public var corsOrigins: CORSOrigins?
  /// What counts where a request does not say how tokens are chosen.
  public var samplingDefaults = SamplingDefaults()
  /// Nil: there are no paths below `/admin/v1/`.
  public var administration: Administration?

  /// Bytes of one request's body; a larger one is refused (413).
  public var maximumBodyBytes = 8 << 20
  /// Memory for bodies on their way, over all connections; those of at most 64 KiB do not count.
  public var maximumBodyMemory = 256 << 20
  /// Bytes a second that are read of what clients send, over all connections; see `InputRate`. About what the threads that look at
  /// bodies get through.
  public var maximumInputRate = 256 << 20
  /// Whether a request may bring a chat template of its own: a program that would run here.
  public var trustsRequestChatTemplates = false
  /// Threads that read requests, and bounds for the work on one.
  package var workers = RequestWorkers.Options()
  /// Requests with an answer in the making, streamed or not; more are refused (429).
  public var maximumConcurrentAnswers = 256
  /// More wait in the system's queue. Fewer where the process may not open so many files; see ``DescriptorLimit``.
  public var maximumConnections = 16_384
  /// Answers that one request may ask for: prompts times `n` or `best_of`.
  public var maximumChoices = 128
  /// From connecting to a complete header.
  public var headerTimeLimit: Duration = .seconds(10)
  /// From a complete header to a complete body.
  public var bodyTimeLimit: Duration = .seconds(60)
  /// Between requests of one connection.
  public var idleTimeLimit: Duration = .seconds(75)
  /// How long a client may leave written bytes unread before its connection is closed.
  public var writeStallLimit: Duration = .seconds(60)
  /// How long a streamed answer may be silent before a comment is sent, which keeps proxies from closing the connection; nil: for ever.
  public var keepAliveInterval: Duration? = .seconds(15)
  /// How long running answers may take to end once the server is stopped.
  public var drainTimeLimit: Duration = .seconds(30)

  /// All names that clients may give.
  var modelNames: [String] {
    var seen: Set<String> = []
    return ([modelName] + otherModelNames).filter { seen.insert($0).inserted }
  }

  /// Everything else at its default.
  public init(modelName: String, version: String) {
    self.modelName = modelName
    self.version = version
  }
}

/// PEM files for TLS.
public struct CertificateFiles: Sendable, Hashable {
  /// The server's certificate, followed by the chain up to the authority.
  public var certificateChain: String
  /// The certificate's key, as the path of a PEM file.
  public var privateKey: String
  /// Whether this build has TLS.
  public static var areSupported: Bool {
    #if TLS
      true
    #else
      false
    #endif
  }
  /// Paths, which are opened when the server starts.
  public init(certificateChain: String, privateKey: String) {
    self.certificateChain = certificateChain
    self.privateKey = privateKey
  }
}
