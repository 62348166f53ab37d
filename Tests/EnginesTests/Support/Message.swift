/// The message of what `body` throws; nil where it does not.
func messageOf(_ body: () throws -> Void) -> String? {
  do { try body() } catch { return "\(error)" }
  return nil
}
