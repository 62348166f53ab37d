/// Jobs that wait, served in turn to clients: one that asks for much waits for itself.
///
/// Pure: no clock, thread or lock.
package struct FairQueue<Job> {
  package struct Entry {
    package var id: UInt64
    /// Whose turn it uses.
    package var client: String
    package var job: Job
    /// Whether it may be sent away for another client's; set by ``FairQueue/add(_:isBounded:)``.
    fileprivate(set) var isBounded = true

    package init(id: UInt64, client: String, job: Job) { (self.id, self.client, self.job) = (id, client, job) }
  }
  /// Most entries that wait.
  package let limit: Int
  private var lists: [String: [Entry]] = [:]
  /// Clients with entries, the one whose turn it is first.
  private var turns: [String] = []
  package private(set) var count = 0

  package init(limit: Int) { self.limit = limit }

  /// - Parameter isBounded: False adds whatever the limit says.
  /// - Returns: The entry that finds no room: the new one, or, where another client has more waiting, that one's last.
  package mutating func add(_ entry: Entry, isBounded: Bool = true) -> Entry? {
    var displaced: Entry?
    if isBounded, count >= limit {
      let own = lists[entry.client]?.count ?? 0
      guard let longest = turns.max(by: { length($0) < length($1) }), length(longest) > own + 1,
        let last = lists[longest]?.last(where: \.isBounded)
      else { return entry }
      displaced = remove(last.id)
    }
    var entry = entry
    entry.isBounded = isBounded
    if lists[entry.client] == nil { turns.append(entry.client) }
    lists[entry.client, default: []].append(entry)
    count += 1
    return displaced
  }

  private func length(_ client: String) -> Int { lists[client]?.count ?? 0 }

  package mutating func next() -> Entry? {
    guard let client = turns.first, let entry = lists[client]?.first else { return nil }
    turns.removeFirst()
    turns.append(client)
    return remove(entry.id)
  }

  package mutating func remove(_ id: UInt64) -> Entry? {
    for (client, list) in lists {
      guard let index = list.firstIndex(where: { $0.id == id }) else { continue }
      let entry = lists[client]?.remove(at: index)
      if length(client) == 0 {
        lists[client] = nil
        turns.removeAll { $0 == client }
      }
      count -= 1
      return entry
    }
    return nil
  }

  package mutating func removeAll() -> [Entry] {
    defer { self = FairQueue(limit: limit) }
    return lists.values.flatMap { $0 }
  }
}
