import Files
import JSON
import OrderedCollections
import Safetensors
import SystemPackage
import Tensors

/// What a skeleton's rank file records in `__metadata__` about the file it was made from.
///
/// | key | value |
/// |---|---|
/// | `drydock.original_shapes` | JSON object: name of each emptied tensor → its shape |
/// | `drydock.original_header` | the original header, padding included; only where it cannot be derived |
/// | `drydock.sha256` | JSON object: name of each tensor → SHA-256 of its values |
/// | `drydock.root_sha256` | one digest over all of these, names, types and shapes included |
///
/// Other readers see four strings they do not know.
struct SkeletonNotes: Sendable, Equatable {
  var shapes: OrderedDictionary<String, [Int]>
  var header: String?
  var digests: OrderedDictionary<String, String>?
  var root: String?

  enum Key {
    static let shapes = "drydock.original_shapes"
    static let header = "drydock.original_header"
    static let digests = "drydock.sha256"
    static let root = "drydock.root_sha256"
    static let all: Set<String> = [shapes, header, digests, root]
  }

  init() { shapes = [:] }

  /// Reads the notes of a rank file; nil where it has none.
  ///
  /// - Throws: ``CheckpointError`` for notes that are damaged: they come from a file, so nothing in them is trusted.
  init?(_ file: SafetensorsFile) throws(CheckpointError) {
    let metadata = file.header.metadata
    guard let text = metadata[Key.shapes] else { return nil }
    func failed(_ key: String, _ reason: String) -> CheckpointError {
      CheckpointError(file.path, .refused(reason: "the skeleton's note '\(key)' \(reason). Make the skeleton again."))
    }
    func object(_ key: String, _ text: String) throws(CheckpointError) -> JSONObject {
      guard let members = (try? JSONValue(parsing: text, maximumDepth: 3))?.object else {
        throw failed(key, "is not a JSON object")
      }
      return members
    }
    shapes = [:]
    for (name, value) in try object(Key.shapes, text) {
      let extents = (value.array ?? [.null]).map(\.int)
      let shape = extents.compactMap { $0 }
      guard shape.count == extents.count, let entry = file.header[name],
        TensorDescription.checkedByteCount(shape: shape, elementType: entry.description.elementType) != nil
      else { throw failed(Key.shapes, "gives '\(name)' an impossible shape, or there is no such tensor") }
      guard entry.description.shape == [0] else { throw failed(Key.shapes, "lists '\(name)', which is not empty") }
      shapes[name] = shape
    }
    header = metadata[Key.header]
    if let text = metadata[Key.digests] {
      var digests: OrderedDictionary<String, String> = [:]
      for (name, value) in try object(Key.digests, text) {
        guard let digest = value.string, digest.utf8.count == 64 else { throw failed(Key.digests, "has no digest for '\(name)'") }
        digests[name] = digest
      }
      for name in file.names where digests[name] == nil { throw failed(Key.digests, "leaves out '\(name)'") }
      guard digests.count == file.names.count else { throw failed(Key.digests, "names tensors that are not there") }
      self.digests = digests
    }
    root = metadata[Key.root]
    guard root == nil || root == self.rootDigest(of: file.header) else {
      throw failed(Key.root, "does not agree with the digests it sums up")
    }
  }

  /// The metadata of the skeleton: the original's own, then these notes.
  func metadata(after original: OrderedDictionary<String, String>?) -> OrderedDictionary<String, String> {
    var all = Self.withoutNotes(original) ?? [:]
    all[Key.shapes] = JSONValue.object(JSONObject(uniqueKeysWithValues: shapes.map { ($0, .ints($1)) })).serialized()
    all[Key.header] = header
    all[Key.digests] = digests.map { digests in
      JSONValue.object(JSONObject(uniqueKeysWithValues: digests.map { ($0, .string($1)) })).serialized()
    }
    all[Key.root] = root
    return all
  }

  /// The original's own metadata: without notes, and absent where nothing else is there.
  static func withoutNotes(_ metadata: OrderedDictionary<String, String>?) -> OrderedDictionary<String, String>? {
    guard let metadata else { return nil }
    let own = metadata.filter { !Key.all.contains($0.key) }
    return own.isEmpty && own.count < metadata.count ? nil : own
  }

  /// One digest over a rank file's tensors: SHA-256 over a line for each, sorted by name's bytes, which is
  /// `digest type shape name` with the name spelled as in JSON.
  func rootDigest(of header: SafetensorsHeader) -> String? {
    guard let digests else { return nil }
    let lines = header.entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }.map { entry in
      let shape = (shapes[entry.name] ?? entry.description.shape).map { String($0) }.joined(separator: ",")
      return "\(digests[entry.name] ?? "") \(entry.description.elementType.rawValue) [\(shape)] "
        + JSONValue.string(entry.name).serialized() + "\n"
    }
    return TensorDigest.sha256(of: Array(lines.joined().utf8))
  }

  /// The original's tensors, in the order of their data.
  func originalTensors(of skeleton: SafetensorsHeader) -> [(String, TensorDescription)] {
    skeleton.entries.map { entry in
      (entry.name, TensorDescription(shape: shapes[entry.name] ?? entry.description.shape, elementType: entry.description.elementType))
    }
  }

  /// The original file's header: the recorded one, or the one that a writer without whims would have written.
  ///
  /// - Throws: ``CheckpointError`` where the recorded header describes other tensors than the skeleton.
  func originalHeader(of skeleton: SafetensorsFile) throws(CheckpointError) -> (header: SafetensorsHeader, bytes: [UInt8]) {
    let described = originalTensors(of: skeleton.header)
    do throws(SafetensorsError) {
      guard let text = header else {
        let derived = try SafetensorsHeader(
          describing: described, headerOrder: skeleton.header.headerOrder,
          metadata: Self.withoutNotes(skeleton.header.optionalMetadata), dataAlignment: 8, dataPhase: nil,
          path: skeleton.path)
        return (derived, derived.serialized())
      }
      let bytes = Array(text.utf8)
      let size = described.reduce(into: Optional(8 + bytes.count)) { sum, tensor in
        guard let so = sum else { return }
        let (next, overflow) = so.addingReportingOverflow(tensor.1.byteCount)
        sum = overflow ? nil : next
      }
      let recorded = try SafetensorsHeader(parsing: unsafe bytes.span.bytes, fileByteCount: size ?? 0, path: skeleton.path)
      let wanted = Dictionary(uniqueKeysWithValues: described)
      guard recorded.entries.count == wanted.count,
        recorded.entries.allSatisfy({ wanted[$0.name] == $0.description })
      else {
        throw SafetensorsError(skeleton.path, .field(tensor: "__metadata__", reason: "'\(Key.header)' describes other tensors"))
      }
      return (recorded, (0..<8).map { UInt8(truncatingIfNeeded: bytes.count >> ($0 * 8)) } + bytes)
    } catch { throw CheckpointError(skeleton.path, .safetensors(error)) }
  }
}
