import Foundation
import HummingbirdTesting
import Serving
import TestSupport
import Testing

@Suite struct TLSTests {
  static let openssl = "/usr/bin/openssl"

  @Test(
    "with certificate files the server speaks TLS",
    .enabled(if: FileManager.default.isExecutableFile(atPath: openssl), "there is no \(openssl) to make a certificate with"))
  func speaks() async throws {
    let temporary = TemporaryDirectory()
    defer { withExtendedLifetime(temporary) {} }
    let directory = URL(filePath: temporary.path.string)
    let files = CertificateFiles(
      certificateChain: directory.appending(path: "chain.pem").path(), privateKey: directory.appending(path: "key.pem").path())
    let make = Process()
    make.executableURL = URL(filePath: Self.openssl)
    make.arguments = [
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
      "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", files.privateKey, "-out", files.certificateChain,
    ]
    make.standardError = FileHandle.nullDevice
    try make.run()
    make.waitUntilExit()
    try #require(make.terminationStatus == 0)
    try await withServer(options: testOptions { $0.certificates = files }, .ahc(.https)) {
      #expect(try await $0.get("/version").json == ["version": "1.2.3"])
      let stream = try await $0.post("/v1/completions", ["model": "tiny", "prompt": "a", "stream": true])
      #expect(stream.events.last == "[DONE]")
    }
  }
}
