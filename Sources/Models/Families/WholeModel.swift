/// A class of models around those of a family, as one that also sees images: of it the text model is taken.
///
/// Its configuration holds the text model's in `text_config`, and its tensors have names with something in front.
package struct WholeModel: Sendable {
  /// In `architectures` and `model_type` of its configuration.
  package let architecture: String
  package let modelType: String
  /// The family's class that its text model is.
  package let textArchitecture: String
  /// Beginnings of names, and what the text model's tensors have in their place; the first that fits counts.
  package let prefixes: [(whole: String, text: String)]
  /// Beginnings of the names of tensors that text does not need.
  package let otherPrefixes: [String]
  /// Members of its configuration that only the other parts read.
  package let otherKeys: Set<String>

  /// A tensor's name in the text model; nil where it has none.
  package func textName(_ name: String) -> String? {
    for (whole, text) in prefixes where name.hasPrefix(whole) { return text + name.dropFirst(whole.count) }
    return nil
  }
}
