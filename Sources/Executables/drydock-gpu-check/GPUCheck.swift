import Backends
import CUDABackend
import Engines
import Execution
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Checks the CUDA back end on the card of this machine, then measures it. Needs no tests, no network and no model.
@main struct GPUCheck {
  static let usage = """
    usage: drydock-gpu-check [--dir <scratch directory>] [--model <model> --golden <file> [--adapter <adapter>]] [--speed tiny,135m,1b,8b] [--live tiny,135m,1b,8b] \
    [--upload <file>] [--quick]

    Compares an NVIDIA card with this machine's processor and with itself, on models of random weights that it writes below the \
    scratch directory (/dev/shm by default) and removes. With --model and --golden, a file as in Tests/Golden, with that model, too. \
    --live changes the weights of engines that answer in those shapes, --upload measures how fast a file reaches the card, --speed \
    then measures decoding. --quick leaves out the long comparisons, --none all of them. Exit codes: 0 all right, 1 something is \
    not, 2 usage.
    """

  static func main() async {
    var arguments = Array(CommandLine.arguments.dropFirst())
    var values: [String: String] = [:]
    while let name = arguments.first {
      arguments.removeFirst()
      if name == "--quick" || name == "--none" { values[name] = ""; continue }
      guard ["--dir", "--model", "--golden", "--speed", "--live", "--upload", "--adapter"].contains(name), let value = arguments.first else {
        print(usage)
        exit(2)
      }
      arguments.removeFirst()
      values[name] = value
    }
    let report = Report()
    let scratch = Scratch(FilePath(values["--dir"] ?? "/dev/shm").appending("drydock-gpu-check-\(getpid())"))
    do {
      guard let cuda = BackendRegistry.all()["cuda"], let cpu = BackendRegistry.all()["cpu"] else { throw Failure("a back end is missing") }
      let models = Models(scratch, cuda: cuda, cpu: cpu)
      let checked = values["--none"] != nil ? [] : values["--quick"] != nil ? Array(ModelShape.checked.prefix(1)) : ModelShape.checked
      for shape in checked {
        try await Comparison(shape, models, report).run()
      }
      if let model = values["--model"], let golden = values["--golden"] {
        try await Golden(FilePath(model), FilePath(golden), adapter: values["--adapter"].map { FilePath($0) }, models, report).run()
      }
      if let file = values["--upload"] { try upload(FilePath(file), report) }
      for name in (values["--live"] ?? "").split(separator: ",") {
        guard let shape = ModelShape.measured[String(name)] else { throw Failure("no shape is called \(name)") }
        try await LiveChange(String(name), shape, models, report).run()
      }
      for name in (values["--speed"] ?? "").split(separator: ",") {
        guard let shape = ModelShape.measured[String(name)] else { throw Failure("no shape is called \(name)") }
        try await Speed(String(name), shape, models, report).run()
      }
    } catch { report.check(false, "\(error)") }
    scratch.remove()
    print(report.summary)
    exit(report.isRight ? 0 : 1)
  }

  private static func upload(_ file: FilePath, _ report: Report) throws {
    for part in try UploadMeasurement.startParts() { report.tell("\(part.what): \((part.seconds * 1e4).rounded() / 10) ms") }
    for (workers, more, size) in [(4, 4, 2), (8, 8, 2), (12, 12, 2), (14, 4, 2), (14, 8, 2), (14, 14, 2), (14, 28, 2), (14, 14, 1), (14, 4, 4), (14, 14, 4)] {
      for maps in [false, true] {
        var rates: [Double] = []
        for _ in 0..<3 { rates.append(try UploadMeasurement.rate(of: file, workers: workers, moreBuffers: more, byteCount: size << 20, maps: maps) / 1e9) }
        report.tell(
          "\(workers) threads, \(workers + more) buffers of \(size) MiB, \(maps ? "mapped" : "read"): "
            + rates.map { "\(($0 * 10).rounded() / 10)" }.joined(separator: ", ") + " GB/s")
      }
    }
  }
}

struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// What was found, a line each.
final class Report {
  private var right = 0
  private var wrong: [String] = []
  var isRight: Bool { wrong.isEmpty && right > 0 }

  func check(_ condition: Bool, _ what: String) {
    show((condition ? "ok     " : "WRONG  ") + what)
    if condition { right += 1 } else { wrong.append(what) }
  }
  func tell(_ what: String) { show("       " + what) }
  private func show(_ line: String) {
    print(line)
    _ = fflush(nil)  // whoever waits sees it at once
  }

  var summary: String {
    isRight ? "all \(right) right" : "\(wrong.count) wrong, \(right) right\n" + wrong.map { "  " + $0 }.joined(separator: "\n")
  }
}
