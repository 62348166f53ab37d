public import Checkpoints
public import JSON
public import Schemes
public import Tensors

extension ModelSource {
  /// `config.json` of the checkpoint that the model is converted to.
  ///
  /// - Parameter scheme: Of the weights that a quantisation covers; nil: plain numbers.
  public func checkpointConfig(elementType: ElementType, mapping: Mapping, scheme: NumberScheme? = nil) -> JSONValue {
    var config = model.checkpointConfig(elementType: elementType, mapping: mapping).object ?? [:]
    // So that an adapter for another model can be recognised later.
    var own: JSONObject = names.isEmpty ? [:] : names.json.object ?? [:]
    if let scheme, scheme.coding != nil {
      var quantization = config["quantization"]?.object ?? [:]
      quantization["quant_algo"] = .string(scheme.name)
      config["quantization"] = .object(quantization)
      own[Quantization.orderKey] = .string(Quantization.rowOrder)
    }
    if !own.isEmpty { config[ModelNames.section] = .object(own) }
    return .object(config)
  }
}
