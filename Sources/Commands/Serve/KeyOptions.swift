public import ArgumentParser
import Files
import Logging
public import Serving
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The keys of a server: each from a flag, from a file, or from the environment, in this order.
struct KeyOptions: ParsableArguments {
  @Option(
    name: .customLong("api_key"),
    help: ArgumentHelp(
      "What clients must send as bearer token. Others on this machine can read it in the list of processes; prefer --api_key_file or DRYDOCK_API_KEY. None by default.",
      valueName: "key"))
  var apiKey: Secret?

  @Option(name: .customLong("api_key_file"), help: ArgumentHelp("A file with the API key, in its only line.", valueName: "file"))
  var apiKeyFile: String?

  @Option(
    name: .customLong("admin_key"),
    help: ArgumentHelp(
      "What callers of /admin/v1/ must send as bearer token; prefer --admin_key_file or DRYDOCK_ADMIN_KEY. Without it, these paths do not exist.",
      valueName: "key"))
  var adminKey: Secret?

  @Option(name: .customLong("admin_key_file"), help: ArgumentHelp("A file with the admin key, in its only line.", valueName: "file"))
  var adminKeyFile: String?

  init() {}

  private struct Source {
    let name: String
    let given: Secret?
    let file: String?
    var variable: String { "DRYDOCK_" + name.uppercased() }

    var isSet: Bool { given != nil || file != nil || Environment[variable] != nil }
    private static let form = "must be at most 4096 printable ASCII characters without spaces"

    var problems: [String] {
      (given?.isEmpty == true ? ["--\(name) is empty; leave it out to serve without a key"] : [])
        + (given.map { !$0.isEmpty && !$0.isUsable } ?? false ? ["the key of --\(name) \(Self.form)"] : [])
        // The value of a secret that somebody's script does not have must not open the server.
        + (Environment[variable]?.isEmpty == true ? ["\(variable) is set and empty; unset it to serve without a key"] : [])
        + (given != nil && file != nil ? ["--\(name) and --\(name)_file both give a key; give one of them"] : [])
    }

    /// A variable is emptied once it has been read, so that a child or a report of this process does not show it.
    func read(_ logger: Logger) throws -> Secret? {
      defer { Environment.clear(variable) }
      if let given {
        logger.info("--\(name) can be read in the list of processes; --\(name)_file and \(variable) cannot")
        return counting(given, "--\(name)", logger)
      }
      guard let file else {
        guard let secret = Environment[variable].map({ Secret($0) }), !secret.isEmpty else { return nil }
        guard secret.isUsable else { throw CommandFailure("the key in \(variable) \(Self.form).") }
        return secret
      }
      let bytes: [UInt8]
      // A key may have been given in the place of the file's name: it is not repeated.
      do throws(FileError) { bytes = try ReadableFile.contents(of: FilePath(file)) } catch {
        throw CommandFailure("--\(name)_file: the file that it names cannot be read (\(error.reason)). Name a file that holds the key; a key itself is given in \(variable).")
      }
      var line = bytes[...]
      while let last = line.last, [0x0A, 0x0D].contains(last) { line.removeLast() }
      // Its bytes are nobody's business, not even in a message.
      let secret = Secret(utf8: Array(line))
      guard secret.isUsable else {
        throw CommandFailure("--\(name)_file: \(file) must hold the key in one line; it \(Self.form).")
      }
      if isReadableByOthers(file) {
        logger.warning("\(file) holds a key and can be read by other users; 'chmod 600' it")
      }
      return counting(secret, "--\(name)_file", logger)
    }

    /// Says so where the variable has another one.
    private func counting(_ secret: Secret, _ place: String, _ logger: Logger) -> Secret {
      if let text = Environment[variable], Secret(text) != secret { logger.warning("\(place) counts, not \(variable), which is another key") }
      return secret
    }

    private func isReadableByOthers(_ path: String) -> Bool {
      var facts = stat()
      return unsafe stat(path, &facts) == 0 && facts.st_mode & 0o044 != 0
    }
  }
  private var api: Source { Source(name: "api_key", given: apiKey, file: apiKeyFile) }
  private var admin: Source { Source(name: "admin_key", given: adminKey, file: adminKeyFile) }

  /// Whether the admin key was given in the arguments, and whether anywhere.
  var hasAdminFlag: Bool { adminKey != nil || adminKeyFile != nil }
  var hasAdminKey: Bool { admin.isSet }

  /// What is wrong with the values.
  var problems: [String] { api.problems + admin.problems }

  func read(_ logger: Logger) throws -> (api: Secret?, admin: Secret?) {
    let (apiKey, adminKey) = (try api.read(logger), try admin.read(logger))
    if let apiKey, apiKey == adminKey {
      throw UsageError("the API key and the admin key are the same: every client could change the weights. Give two keys.")
    }
    return (apiKey, adminKey)
  }
}

extension Secret: ExpressibleByArgument {
  /// Takes any text: an argument that is refused would be repeated in a message.
  public init?(argument: String) { self.init(argument) }
}
