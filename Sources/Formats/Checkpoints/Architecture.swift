/// The architecture names of the release that last had the engine path; they are Hugging Face's own, and upper and
/// lower case matter.
public enum Architecture {
  /// What `architecture` of a checkpoint's `config.json` can be; far fewer can be built here.
  public static let known: Set<String> = Set(
    (gpt + llama + qwen + gemma + phi + others + newer + encoders + multimodal).split(separator: " ").map(String.init))

  private static let gpt =
    "GPT2LMHeadModel GPT2LMHeadCustomModel GPTBigCodeForCausalLM Starcoder2ForCausalLM FuyuForCausalLM "
    + "Kosmos2ForConditionalGeneration JAISLMHeadModel GPTForCausalLM NemotronForCausalLM "
  private static let llama =
    "LlamaForCausalLM LlavaLlamaModel ExaoneForCausalLM MistralForCausalLM MixtralForCausalLM ArcticForCausalLM "
    + "InternLMForCausalLM InternLM2ForCausalLM InternLMXComposer2ForCausalLM GraniteForCausalLM GraniteMoeForCausalLM "
    + "SkyworkForCausalLM LlavaNextForConditionalGeneration DeciLMForCausalLM "
  private static let qwen =
    "QWenLMHeadModel QWenForCausalLM Qwen2ForCausalLM Qwen2MoeForCausalLM Qwen2ForSequenceClassification "
    + "Qwen2VLForConditionalGeneration Qwen2VLModel Qwen3ForCausalLM Qwen3MoeForCausalLM "
  private static let gemma = "GemmaForCausalLM Gemma2ForCausalLM Gemma3ForCausalLM RecurrentGemmaForCausalLM "
  private static let phi =
    "PhiForCausalLM Phi3ForCausalLM Phi3VForCausalLM Phi3SmallForCausalLM PhiMoEForCausalLM Phi4MMForCausalLM "
  private static let others =
    "OPTForCausalLM BloomForCausalLM RWForCausalLM FalconForCausalLM MambaForCausalLM GPTNeoXForCausalLM GPTJForCausalLM "
    + "MptForCausalLM MPTForCausalLM GLMModel ChatGLMModel ChatGLMForCausalLM ChatGLMForConditionalGeneration "
    + "Grok1ModelForCausalLM MedusaForCausalLM MedusaLlamaForCausalLM ReDrafterForLLaMALM ReDrafterForQWenLM "
    + "BaichuanForCausalLM BaiChuanForCausalLM DbrxForCausalLM DeepseekForCausalLM DeepseekV2ForCausalLM "
    + "EagleForCausalLM CohereForCausalLM VoRAForCausalLM "
  /// Classes that the release did not have and that convert writes, under Hugging Face's names.
  private static let newer = "SmolLM3ForCausalLM Olmo2ForCausalLM Exaone4ForCausalLM "
  private static let encoders =
    "WhisperEncoder EncoderModel DecoderModel BertForQuestionAnswering BertForSequenceClassification BertModel "
    + "RobertaModel RobertaForQuestionAnswering RobertaForSequenceClassification "
  private static let multimodal =
    "CogVLMForCausalLM DiT SD3Transformer2DModel STDiT3 MLLaMAModel MllamaForConditionalGeneration"
}
