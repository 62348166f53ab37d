/// What the scheduler knows about a sequence.
package struct ScheduledSequence: Sendable {
  package let id: SequenceID
  package let promptCount: Int
  /// Whether the logits of all prompt rows are wanted, to say how likely the prompt's own tokens were.
  package internal(set) var scoresPrompt: Bool
  /// Prompt, then generated tokens.
  package internal(set) var tokens: [Int32]
  /// Whether a token was chosen from what the cache holds of it.
  package internal(set) var hasChosen = false
  /// How many of the tokens have keys and values in the cache.
  package internal(set) var computed = 0
  /// Cache blocks in order of position.
  package internal(set) var blocks: [Int32] = []
  /// Whether it ever ran; then it may already have been heard.
  package internal(set) var wasAdmitted = false
  /// Prompt tokens that the first admission found in the cache.
  package internal(set) var cachedPromptTokens = 0

  /// Blocks at the front that are findable, the identity of the last of them, and whether more may become so.
  var published = 0
  var publishedIdentity = PrefixIndex.Identity.root
  var mayPublish = true

  init(id: SequenceID, promptIDs: [Int32], scoresPrompt: Bool) {
    self.scoresPrompt = scoresPrompt
    self.id = id
    promptCount = promptIDs.count
    tokens = promptIDs
  }

  /// Tokens that have yet to be computed: at least one while a choice is awaited.
  package var pending: Int { tokens.count - computed }
  package var isInPrefill: Bool { computed < promptCount }
  /// Whether the next rows want logits, all of them.
  var scores: Bool { scoresPrompt && isInPrefill }
}
