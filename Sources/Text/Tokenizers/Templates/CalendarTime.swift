#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A moment as a calendar and a clock show it, for templates that write today's date.
public struct CalendarTime: Sendable, Equatable {
  /// Of the Gregorian calendar.
  public var year: Int
  /// 1 to 12.
  public var month: Int
  /// 1 to 31.
  public var day: Int
  /// 0 to 23.
  public var hour: Int
  /// 0 to 59.
  public var minute: Int
  /// 0 to 60.
  public var second: Int

  /// Midnight, where no time is given. Checks nothing.
  public init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
    self.year = year
    self.month = month
    self.day = day
    self.hour = hour
    self.minute = minute
    self.second = second
  }

  /// Now, in this machine's time zone.
  public static func current() -> CalendarTime {
    var now = time(nil)
    var parts = unsafe tm()
    unsafe localtime_r(&now, &parts)
    return unsafe CalendarTime(
      year: Int(parts.tm_year) + 1900, month: Int(parts.tm_mon) + 1, day: Int(parts.tm_mday),
      hour: Int(parts.tm_hour), minute: Int(parts.tm_min), second: Int(parts.tm_sec))
  }

  private static let months = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
  ]
  private static let weekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

  /// 0 to 11, also for a month that no calendar has.
  private var monthIndex: Int { ((month - 1) % 12 + 12) % 12 }
  private var dayOfYear: Int {
    let isLeap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]
    return before[monthIndex] + day + (isLeap && month > 2 ? 1 : 0)
  }
  /// 0 is Sunday. Sakamoto's rule for the Gregorian calendar.
  private var weekday: Int {
    let offsets = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4]
    let y = month < 3 ? year - 1 : year
    let days = (y + y / 4 - y / 100 + y / 400 + offsets[monthIndex] + day) % 7
    return (days + 7) % 7
  }

  /// `strftime` in English. Nil for a directive that is not known, which is then in `unknown`.
  func formatted(_ format: String, unknown: inout String?) -> String {
    func padded(_ value: Int, _ width: Int = 2, _ with: String = "0") -> String {
      let digits = String(value)
      return String(repeating: with, count: max(0, width - digits.utf8.count)) + digits
    }
    var result = ""
    var scalars = format.unicodeScalars.makeIterator()
    while let scalar = scalars.next() {
      guard scalar == "%" else { result.unicodeScalars.append(scalar); continue }
      guard var directive = scalars.next() else { result += "%"; break }
      let plain = directive == "-"
      if plain { directive = scalars.next() ?? "%" }
      let width = plain ? 0 : 2
      let hour12 = hour % 12 == 0 ? 12 : hour % 12
      switch directive {
      case "Y": result += padded(year, 4)
      case "y": result += padded(year % 100, width)
      case "m": result += padded(month, width)
      case "d": result += padded(day, width)
      case "e": result += padded(day, width, " ")
      case "H": result += padded(hour, width)
      case "I": result += padded(hour12, width)
      case "M": result += padded(minute, width)
      case "S": result += padded(second, width)
      case "j": result += padded(dayOfYear, plain ? 0 : 3)
      case "p": result += hour < 12 ? "AM" : "PM"
      case "B": result += Self.months[monthIndex]
      case "b", "h": result += Self.months[monthIndex].prefix(3)
      case "A": result += Self.weekdays[weekday]
      case "a": result += Self.weekdays[weekday].prefix(3)
      case "w": result += String(weekday)
      case "F": result += padded(year, 4) + "-" + padded(month) + "-" + padded(day)
      case "T": result += padded(hour) + ":" + padded(minute) + ":" + padded(second)
      case "D": result += padded(month) + "/" + padded(day) + "/" + padded(year % 100)
      case "R": result += padded(hour) + ":" + padded(minute)
      case "n": result += "\n"
      case "t": result += "\t"
      case "%": result += "%"
      default: unknown = "%" + (plain ? "-" : "") + String(directive)
      }
    }
    return result
  }
}
