import Foundation

/// Returns when a condition holds, or after so long.
func eventually(within limit: Duration = .seconds(30), _ condition: () throws -> Bool) rethrows {
  let end = ContinuousClock.now + limit
  while try !condition(), ContinuousClock.now < end { usleep(20_000) }
}
