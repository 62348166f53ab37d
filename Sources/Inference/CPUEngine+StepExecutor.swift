public import CPUBackend

extension CPUEngine: StepExecutor {
  public var limits: ExecutorLimits {
    ExecutorLimits(
      vocabularySize: vocabularySize, maximumSequenceLength: maximumSequenceLength, maximumBatchRows: maximumBatchRows,
      maximumSequences: maximumSequences, maximumLogitRows: maximumLogitRows, cacheBlockTokens: cacheBlockTokens, cacheBlockCount: cacheBlockCount)
  }
}
