public import JSON

/// One step of a network or plan. A closed set: each back end says what it does with every kind.
///
/// A new kind is a file beside this one, with a case here and in each executor.
public enum Operation: Sendable, Hashable {
  /// Rows of the embedding table.
  case embed(Embed)
  /// RMS or layer norm, with or without the residual's sum before it.
  case norm(Norm)
  /// A product with a weight.
  case linear(Linear)
  /// Attention over the cache, with what is done to heads before it.
  case attention(Attention)
  /// A gated activation as two products give it, before fusion; no plan holds one.
  case activatedProduct(ActivatedProduct)
  /// A gated activation of one product's two halves.
  case gated(Gated)
  /// The choice of experts for each row.
  case routing(Routing)
  /// The MLPs of chosen experts.
  case experts(Experts)
  /// A change of every element by itself.
  case unary(Unary)
  /// The sum of two values.
  case add(Add)
  /// The rows that want logits.
  case select(Select)
  /// The sum over a tensor-parallel group.
  case allReduce(AllReduce)
  /// The parts of a tensor-parallel group beside each other.
  case allGather(AllGather)
  /// Rows for the next pipeline stage.
  case send(Send)
  /// Rows of the pipeline stage before.
  case receive(Receive)

  /// What its kind says of it, whatever the kind is.
  public var body: any OperationBody {
    switch self {
    case .embed(let body): body
    case .norm(let body): body
    case .linear(let body): body
    case .attention(let body): body
    case .activatedProduct(let body): body
    case .gated(let body): body
    case .routing(let body): body
    case .experts(let body): body
    case .unary(let body): body
    case .add(let body): body
    case .select(let body): body
    case .allReduce(let body): body
    case .allGather(let body): body
    case .send(let body): body
    case .receive(let body): body
    }
  }

  /// What its JSON begins with.
  public var name: String { type(of: body).name }
  /// Values read, and values written (one both read and written is in both).
  public var uses: (reads: [ValueID], writes: [ValueID]) {
    let body = body
    return (body.reads, body.writes)
  }
  /// Engine names of the weights it reads, in the order of their use.
  public var weightNames: [String] { body.weightNames }
  /// Those of them that inputs are multiplied with.
  public var products: [WeightProduct] { body.products }

  /// With other numbers for its values.
  public func renumbered(_ new: (ValueID) -> ValueID) -> Operation {
    switch self {
    case .embed(let body): .embed(body.renumbered(new))
    case .norm(let body): .norm(body.renumbered(new))
    case .linear(let body): .linear(body.renumbered(new))
    case .attention(let body): .attention(body.renumbered(new))
    case .activatedProduct(let body): .activatedProduct(body.renumbered(new))
    case .gated(let body): .gated(body.renumbered(new))
    case .routing(let body): .routing(body.renumbered(new))
    case .experts(let body): .experts(body.renumbered(new))
    case .unary(let body): .unary(body.renumbered(new))
    case .add(let body): .add(body.renumbered(new))
    case .select(let body): .select(body.renumbered(new))
    case .allReduce(let body): .allReduce(body.renumbered(new))
    case .allGather(let body): .allGather(body.renumbered(new))
    case .send(let body): .send(body.renumbered(new))
    case .receive(let body): .receive(body.renumbered(new))
    }
  }

  /// An object whose first member is called ``name``: an element of a plan's `operations`.
  public var json: JSONValue { .object(body.json) }

  /// - Throws: ``PlanFormatError`` for an unknown operation or a member that is missing or of the wrong kind.
  ///   Whether values and weights exist and fit is the plan's check.
  public init(json: JSONValue) throws(PlanFormatError) {
    switch json.object?.keys.first {
    case nil: throw PlanFormatError("an operation is not an object")
    case Embed.name: self = .embed(try Embed(json: json))
    case Norm.name: self = .norm(try Norm(json: json))
    case Linear.name: self = .linear(try Linear(json: json))
    case Attention.name: self = .attention(try Attention(json: json))
    case Gated.name: self = .gated(try Gated(json: json))
    case Routing.name: self = .routing(try Routing(json: json))
    case Experts.name: self = .experts(try Experts(json: json))
    case Unary.name: self = .unary(try Unary(json: json))
    case ActivatedProduct.name: self = .activatedProduct(try ActivatedProduct(json: json))
    case Add.name: self = .add(try Add(json: json))
    case Select.name: self = .select(try Select(json: json))
    case AllReduce.name: self = .allReduce(try AllReduce(json: json))
    case AllGather.name: self = .allGather(try AllGather(json: json))
    case Send.name: self = .send(try Send(json: json))
    case Receive.name: self = .receive(try Receive(json: json))
    case let kind?: throw PlanFormatError("unknown operation \"\(kind)\": the engine was built by a newer version")
    }
  }
}
