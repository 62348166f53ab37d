import Foundation
import JSON
import SystemPackage
import TestSupport
import Testing

/// `--weights_root` against every file that the server's own reader opens.
@Suite(.serialized, .timeLimit(.minutes(8))) struct WeightsRootTests {
  @Test func `what lies beside an adapter in GGUF is not read from outside the root`() throws {
    let directory = TemporaryDirectory()
    let engine = try Engines.tiny(in: directory)
    let adapter = try #require(contents(Engines.project("Tests/WeightSourcesTests/Expected/adapters/gguf/tiny-lora.f32.gguf")))
    directory.write("outside/x.json", #"{"use_rslora": true}"#)
    for name in ["linked", "plain"] { directory.write("root/\(name)/a.gguf", adapter) }
    makeSymbolicLink(directory("root/linked/adapter_config.json"), to: "../../outside/x.json")
    directory.write("root/plain/adapter_config.json", #"{"use_rslora": true}"#)
    directory.write("root/model/model.safetensors", "x")
    makeSymbolicLink(directory("root/model/config.json"), to: "../../outside/x.json")
    let server = try ServerProcess(engine, in: directory, "--admin_key", "k", "--weights_root", directory("root").string)
    for source in ["linked/a.gguf", "linked", "model/model.safetensors", "model"] {
      let reply = try server.send("POST", "/admin/v1/weights/prepare", ["source": .string(source)], key: "k")
      #expect(reply.status == 400 && reply.body.contains("outside_weights_root") && !reply.body.contains("rslora"), "\(source): \(reply.body)")
    }
    let reply = try server.send("POST", "/admin/v1/weights/prepare", ["source": "plain/a.gguf"], key: "k")
    #expect(reply.status == 200 && reply.body.contains("use_rslora"), "\(reply.body)")
    #expect(server.stop() == 0)
  }
}
