import Schemes
import Tensors

/// Finds values that are no numbers.
enum NonFinite {
  /// How many elements are NaN or infinite; of numbers in fewer bits, how many rows.
  ///
  /// - Parameter bytes: A tile of the weight as it is stored.
  static func count(_ bytes: UnsafeRawBufferPointer, _ program: RecipeProgram) -> Int {
    switch program.scheme {
    case .plain(let type): unsafe NumberFormat.nonFiniteCount(bytes, type)
    // An encoded row holds it as a whole.
    default: unsafe program.scheme.coding?.nonFiniteRows(bytes, columns: program.columns) ?? 0
    }
  }
}
