public import Checkpoints
public import JSON
public import Tensors

extension ModelSource {
  /// `config.json` of the checkpoint that the model is converted to.
  public func checkpointConfig(elementType: ElementType, mapping: Mapping) -> JSONValue {
    var config = model.checkpointConfig(elementType: elementType, mapping: mapping).object ?? [:]
    // So that an adapter for another model can be told later.
    if !names.isEmpty { config[ModelNames.section] = names.json }
    return .object(config)
  }
}
