public import OrderedCollections
public import Tensors

/// What a safetensors file says about its tensors: names, types, shapes, places.
///
/// A value of this type has been checked: extents follow each other without holes or overlaps, fill the data
/// exactly, and agree with shapes and types.
public struct SafetensorsHeader: Sendable {
  /// One tensor of the file.
  public struct Entry: Sendable, Hashable {
    /// Any text but `__metadata__`, also an empty one; no two tensors have the same.
    public let name: String
    /// Type and shape; its values take exactly the bytes of ``range``.
    public let description: TensorDescription
    /// Bytes of the values, counted from the start of the data.
    public let range: Range<Int>
  }
  /// In the order of their data. Of empty tensors at one place, in the order of the header.
  public let entries: [Entry]
  /// The same tensors as their names follow each other in the header.
  public let headerOrder: [Int]
  /// The file's own notes, in their order; nil where the header has no `__metadata__` member.
  public let optionalMetadata: OrderedDictionary<String, String>?
  /// Where the data starts in the file: 8 bytes of size and the header come before.
  public let dataStart: Int
  private let places: [String: Int]

  /// The largest header that the format allows, in bytes.
  public static let byteLimit = 100_000_000

  init(
    entries: [Entry], headerOrder: [Int], metadata: OrderedDictionary<String, String>?, dataStart: Int,
    places: [String: Int]
  ) {
    self.entries = entries
    self.headerOrder = headerOrder
    optionalMetadata = metadata
    self.dataStart = dataStart
    self.places = places
  }

  /// The file's own notes; empty where it has none.
  public var metadata: OrderedDictionary<String, String> { optionalMetadata ?? [:] }
  /// Bytes of all tensors together.
  public var dataByteCount: Int { entries.last?.range.upperBound ?? 0 }
  /// Of all tensors, in the order of their data.
  public var names: [String] { entries.map(\.name) }

  /// The tensor of a name, in constant time; nil where there is none.
  public subscript(name: String) -> Entry? { places[name].map { entries[$0] } }
}
