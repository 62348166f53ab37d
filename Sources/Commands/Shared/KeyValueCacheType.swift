import ArgumentParser
import Tensors

/// `--kv_cache_dtype`: how an engine keeps keys and values.
enum KeyValueCacheType: String, ExpressibleByArgument, CaseIterable {
  case auto, bfloat16, float32

  /// nil for `auto`.
  var elementType: ElementType? { ElementType(configName: rawValue) }

  static let help = ArgumentHelp(
    "Type in which keys and values are kept; auto: float32 with float32 weights, else bfloat16.",
    valueName: "type")
}
