public import OrderedCollections

/// An object's members in the order in which they were written.
///
/// Two names are one where their bytes are, as in every other reader of JSON: `String`s that spell one character in two ways
/// (`ά` as U+03AC and as U+1F71) are equal, and vocabularies hold both. Equal objects have equal members in the same order.
public struct JSONObject: Sendable, Hashable {
  private var members: OrderedDictionary<Name, JSONValue>

  /// A name, compared by its bytes.
  private struct Name: Sendable, Hashable {
    let text: String
    /// Of the bytes, made once: a table that grows asks for it again and again.
    private let hash: Int

    init(_ text: String) {
      var text = text
      var hasher = Hasher()
      unsafe text.withUTF8 { unsafe hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
      (self.text, hash) = (text, hasher.finalize())
    }
    static func == (one: Name, other: Name) -> Bool { one.hash == other.hash && one.text.utf8.elementsEqual(other.text.utf8) }
    func hash(into hasher: inout Hasher) { hasher.combine(hash) }
  }

  /// No members.
  public init() { members = [:] }
  /// No members, and memory for some.
  public init(minimumCapacity: Int) { members = OrderedDictionary(minimumCapacity: minimumCapacity) }
  /// - Precondition: No name stands twice.
  public init(uniqueKeysWithValues members: some Sequence<(String, JSONValue)>) {
    self.members = OrderedDictionary(uniqueKeysWithValues: members.lazy.map { (Name($0.0), $0.1) })
  }
  /// - Parameter combine: Makes one of the values of a name that stands twice, which keeps its first place.
  public init(_ members: some Sequence<(String, JSONValue)>, uniquingKeysWith combine: (JSONValue, JSONValue) -> JSONValue) {
    self.members = OrderedDictionary(members.lazy.map { (Name($0.0), $0.1) }, uniquingKeysWith: combine)
  }
  /// The same members.
  public init(_ members: OrderedDictionary<String, JSONValue>) {
    self.init(uniqueKeysWithValues: members.elements.lazy.map { ($0.key, $0.value) })
  }

  /// The value under a name, nil where there is none; setting nil takes the member out, setting a value of a new name appends it.
  public subscript(key: String) -> JSONValue? {
    get { members[Name(key)] }
    set { members[Name(key)] = newValue }
    _modify { yield &members[Name(key)] }
  }

  /// Sets a value. A new name goes to the end.
  ///
  /// - Returns: What stood under the name before.
  @discardableResult public mutating func updateValue(_ value: JSONValue, forKey key: String) -> JSONValue? {
    members.updateValue(value, forKey: Name(key))
  }
  /// - Returns: What stood under the name; nil where nothing did.
  @discardableResult public mutating func removeValue(forKey key: String) -> JSONValue? { members.removeValue(forKey: Name(key)) }

  /// Adds members; new names go to the end.
  ///
  /// - Parameter combine: Makes one of the value that is there and the new one.
  public mutating func merge(_ others: JSONObject, uniquingKeysWith combine: (JSONValue, JSONValue) -> JSONValue) {
    members.merge(others.members.elements.lazy.map { ($0.key, $0.value) }, uniquingKeysWith: combine)
  }
  /// As ``merge(_:uniquingKeysWith:)``, in a copy.
  public func merging(_ others: JSONObject, uniquingKeysWith combine: (JSONValue, JSONValue) -> JSONValue) -> JSONObject {
    var all = self
    all.merge(others, uniquingKeysWith: combine)
    return all
  }

  /// The members that are wanted, in order.
  public func filter(_ isWanted: (Element) throws -> Bool) rethrows -> JSONObject {
    var wanted = self
    wanted.members = try members.filter { try isWanted(($0.key.text, $0.value)) }
    return wanted
  }
  /// Other values under the same names.
  public func mapValues(_ transform: (JSONValue) throws -> JSONValue) rethrows -> JSONObject {
    var changed = self
    changed.members = try members.mapValues(transform)
    return changed
  }

  /// What is made of each value, by name. Of two names that are equal `String`s the last counts.
  public func mapValues<T>(_ transform: (JSONValue) throws -> T) rethrows -> OrderedDictionary<String, T> {
    OrderedDictionary(try members.elements.map { ($0.key.text, try transform($0.value)) }, uniquingKeysWith: { $1 })
  }

  /// The names, in order.
  public var keys: Keys { Keys(object: self) }
  /// The values, in order.
  public var values: some RandomAccessCollection<JSONValue> { members.values }

  /// The names of an object's members.
  public struct Keys: RandomAccessCollection, Sendable {
    fileprivate let object: JSONObject
    public var startIndex: Int { 0 }
    public var endIndex: Int { object.count }
    public subscript(position: Int) -> String { object.members.keys[position].text }
    /// Told by bytes.
    public func contains(_ name: String) -> Bool { object.members[Name(name)] != nil }
  }
}

extension JSONObject: RandomAccessCollection {
  public typealias Element = (key: String, value: JSONValue)
  public var startIndex: Int { 0 }
  public var endIndex: Int { members.count }
  public subscript(position: Int) -> Element {
    let (key, value) = members.elements[position]
    return (key.text, value)
  }
}

extension JSONObject: CustomStringConvertible {
  /// As JSON, on one line.
  public var description: String { JSONValue.object(self).serialized() }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
  /// The last of two members of one name wins.
  public init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements, uniquingKeysWith: { $1 }) }
}
