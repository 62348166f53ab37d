import Backends
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
    usage: drydock-gpu-check [--dir <scratch directory>] [--model <model> --golden <file>] [--speed tiny,135m,1b,8b] [--quick]

    Compares an NVIDIA card with this machine's processor and with itself, on models of random weights that it writes below the \
    scratch directory (/dev/shm by default) and removes. With --model and --golden, a file as in Tests/Golden, with that model, too. \
    --speed then measures decoding in those shapes, --quick leaves out the long comparisons. Exit codes: 0 all right, 1 something is \
    not, 2 usage.
    """

  static func main() async {
    var arguments = Array(CommandLine.arguments.dropFirst())
    var values: [String: String] = [:]
    while let name = arguments.first {
      arguments.removeFirst()
      if name == "--quick" { values[name] = ""; continue }
      guard ["--dir", "--model", "--golden", "--speed"].contains(name), let value = arguments.first else {
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
      for shape in values["--quick"] == nil ? ModelShape.checked : Array(ModelShape.checked.prefix(1)) {
        try await Comparison(shape, models, report).run()
      }
      if let model = values["--model"], let golden = values["--golden"] {
        try await Golden(FilePath(model), FilePath(golden), models, report).run()
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
