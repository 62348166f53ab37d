/// Where programs that quantise a model say so: the one list of such places.
enum QuantizationMarks {
  /// Members of `config.json`.
  static let keys = ["quantization_config", "compression_config", "quantization"]

  struct SideFile {
    let name: String
    /// Where in it the method is named.
    var method: [String] = []
    /// The program's usual method, where it names none.
    let fallback: String
  }
  /// Files beside `config.json`.
  static let files = [
    SideFile(name: "hf_quant_config.json", method: ["quantization", "quant_algo"], fallback: "ModelOpt"),
    SideFile(name: "quantize_config.json", method: ["quant_method"], fallback: "GPTQ"),
    SideFile(name: "quant_config.json", method: ["quant_method"], fallback: "AWQ"),
    SideFile(name: "quant_cfg.json", method: ["quant_algo"], fallback: "ModelOpt"),
    SideFile(name: "quant_strategy.json", fallback: "EXL2"), SideFile(name: "gptq_config.json", fallback: "GPTQ"),
    SideFile(name: "awq_config.json", fallback: "AWQ"), SideFile(name: "quant_log.csv", fallback: "GPTQ"),
  ]
}
