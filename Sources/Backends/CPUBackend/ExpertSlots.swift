import CPUKernels

/// Which rows go to which experts: a slot for each row and expert of its choice, an expert's slots behind each other in the order of
/// rows. Filled by one thread, read by all after a barrier.
@safe final class ExpertSlots {
  /// Most experts of a row.
  private let chosen: Int
  private let experts: Int
  private let starts: AlignedBuffer
  private let next: AlignedBuffer
  private let rowOfSlot: AlignedBuffer
  private let places: AlignedBuffer
  private let shares: AlignedBuffer

  /// - Parameters:
  ///   - rows: Most rows at a time.
  ///   - experts: Most experts of a layer on this rank.
  ///   - chosen: Most of them that a row goes to.
  init(rows: Int, experts: Int, chosen: Int) throws(AlignedBuffer.NoMemory) {
    (self.experts, self.chosen) = (experts, chosen)
    starts = try AlignedBuffer(reserving: (experts + 1) * 4)
    next = try AlignedBuffer(reserving: (experts + 1) * 4)
    rowOfSlot = try AlignedBuffer(reserving: rows * chosen * 4)
    places = try AlignedBuffer(reserving: rows * chosen * 4)
    shares = try AlignedBuffer(reserving: rows * chosen * 4)
  }

  private static func numbers(_ buffer: AlignedBuffer) -> UnsafeMutablePointer<Int32> { unsafe buffer.base.assumingMemoryBound(to: Int32.self) }

  /// Sorts rows by expert.
  ///
  /// - Parameters:
  ///   - shares: Of all experts, for each token row; a row's experts are the first `most` whose share is not 0.
  ///   - experts: This rank's, as columns of `shares`.
  ///   - most: At most what the slots were made for.
  func fill(_ rows: ArraySlice<Int32>, shares all: UnsafePointer<Float>, width: Int, experts: Range<Int>, most: Int) {
    precondition(experts.count <= self.experts && most <= chosen, "the plan was asked for its largest")
    let (starts, next, places, rowOfSlot) = unsafe (
      Self.numbers(starts), Self.numbers(next), Self.numbers(places), Self.numbers(rowOfSlot)
    )
    unsafe starts.update(repeating: 0, count: experts.count + 1)
    var place = 0
    for row in rows {
      let own = unsafe all + Int(row) * width + experts.lowerBound
      var found = 0
      for expert in 0..<experts.count where unsafe own[expert] != 0 {
        unsafe places[place + found] = Int32(truncatingIfNeeded: expert)
        unsafe shares.floats[place + found] = own[expert]
        unsafe starts[expert + 1] += 1
        found += 1
        if found == most { break }
      }
      for empty in found..<most { unsafe places[place + empty] = -1 }
      place += most
    }
    for expert in 0..<experts.count {
      unsafe starts[expert + 1] += starts[expert]
      unsafe next[expert] = starts[expert]
    }
    place = 0
    for row in rows {
      for index in place..<place + most {
        let expert = unsafe Int(places[index])
        if expert < 0 { break }
        let slot = unsafe next[expert]
        unsafe next[expert] += 1
        unsafe rowOfSlot[Int(slot)] = row
        unsafe places[index] = slot
      }
      place += most
    }
  }

  /// An expert's, counted from this rank's first.
  func slots(of expert: Int) -> Range<Int> {
    let starts = unsafe Self.numbers(starts)
    return unsafe Int(starts[expert])..<Int(starts[expert + 1])
  }
  func row(of slot: Int) -> Int { unsafe Int(Self.numbers(rowOfSlot)[slot]) }

  /// The slots of one of the rows that were given, in the order of experts.
  ///
  /// - Parameter index: Of the row among those.
  func forEachSlot(ofRow index: Int, most: Int, _ body: (_ slot: Int, _ share: Float) -> Void) {
    for place in index * most..<(index + 1) * most {
      let slot = unsafe Int(Self.numbers(places)[place])
      if slot < 0 { break }
      body(slot, unsafe shares.floats[place])
    }
  }

  /// What of all experts' panels one of several threads computes: for each expert a range of them.
  ///
  /// Panels are shared out by what they cost: a panel is read once, which takes as long as some rows, and multiplied with each row.
  ///
  /// - Parameter panels: Of each expert.
  func share(experts: Int, panels: Int, thread: Int, of threads: Int, _ body: (_ expert: Int, _ panels: Range<Int>) -> Void) {
    func cost(_ expert: Int) -> Int {
      let rows = slots(of: expert).count
      return rows == 0 ? 0 : rows + Self.rowsPerPanel
    }
    let total = (0..<experts).reduce(0) { $0 + cost($1) } * panels
    let (first, end) = (total * thread / threads, total * (thread + 1) / threads)
    var start = 0
    for expert in 0..<experts {
      let each = cost(expert)
      guard each > 0 else { continue }
      // A panel is whose its beginning is.
      func panel(_ place: Int) -> Int { min((max(place, start) - start + each - 1) / each, panels) }
      let own = panel(first)..<panel(end)
      if !own.isEmpty { body(expert, own) }
      start += each * panels
      if start >= end { break }
    }
  }
  private static let rowsPerPanel = 8
}
