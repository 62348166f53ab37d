public import SystemPackage

extension OutputDirectory {
  /// Whether ``begin(_:as:notOverlapping:replaceable:belongs:)`` would take these paths; for runs that write nothing.
  public static func check(
    _ target: FilePath, as kind: OutputKind, notOverlapping inputs: [FilePath], replaceable: FilePath? = nil
  ) throws(FileError) {
    let place = try OutputPlace(target, as: kind, notOverlapping: inputs, replaceable: replaceable)
    var above = place.parent
    while !above.isEmpty, try existing(above) == nil, above.removeLastComponent() {}
    try SystemCalls.requireRoom(in: above.isEmpty ? "." : above)
  }
}
