// swift-tools-version: 6.2
import PackageDescription

// Everything that reads untrusted bytes, built by Scripts/fuzz with AddressSanitizer and coverage counters and linked
// with libFuzzer. The product's sources are compiled again here (Sources is a link), all but what a web server needs.
let swiftSettings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableExperimentalFeature("Lifetimes"),
  .strictMemorySafety(),
]
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let ordered = Target.Dependency.product(name: "OrderedCollections", package: "swift-collections")

func library(_ name: String, in room: String? = nil, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, path: "Sources/" + (room.map { "\($0)/" } ?? "") + name, swiftSettings: swiftSettings)
}

let package = Package(
  name: "drydock-fuzz",
  platforms: [.macOS(.v15)],
  products: [.library(name: "FuzzTargets", type: .static, targets: ["FuzzTargets"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  ],
  targets: [
    .target(name: "CFuzzer", path: "CFuzzer"),
    .target(name: "CPUKernels", path: "Sources/C/CPUKernels", linkerSettings: [.linkedLibrary("m")]),
    .target(name: "CSystemCalls", path: "Sources/C/CSystemCalls"),
    .target(name: "CSHA256", path: "Sources/C/CSHA256"),
    .target(name: "JSON", dependencies: [ordered], path: "Sources/Foundations/JSON", swiftSettings: swiftSettings, linkerSettings: [.linkedLibrary("m")]),
    library("Tensors", in: "Foundations", ["CPUKernels"]),
    library("Files", in: "Foundations", ["CSystemCalls", system]),
    library("Digests", in: "Foundations", ["CSHA256"]),
    library("Threads", in: "Foundations", ["Files"]),
    library("Schemes", in: "Weights", ["CPUKernels", "Tensors"]),
    library("Safetensors", in: "Formats", ["JSON", "Tensors", "Files", system, ordered]),
    library("Checkpoints", in: "Formats", ["Safetensors", "Schemes", "JSON", "Tensors", "Files", "Threads", "Digests", system, ordered]),
    library("Tokenizers", in: "Text", ["JSON", ordered]),
    library("Networks", in: "Models", ["JSON", "Tensors", "Schemes", ordered]),
    library("Families", in: "Models", ["Networks", "Checkpoints", "Schemes", "JSON", "Tensors"]),
    library("WeightSources", in: "Weights", ["CPUKernels", "Families", "Tokenizers", "Checkpoints", "Safetensors", "Schemes", "JSON", "Tensors", "Files", "Threads", system]),
    library("Engines", [
      "Networks", "Families", "WeightSources", "Checkpoints", "Safetensors", "Schemes", "Tokenizers", "JSON", "Tensors", "Files", "Threads", "Digests", system, ordered,
    ]),
    library("Execution", ["Engines", "Tensors", system]),
    library("CPUBackend", in: "Backends", ["CPUKernels", "Execution", "Engines", "Networks", "Schemes", "Tensors", "Files", "Threads", system, ordered]),
    library("Inference", ["Execution", "Engines", "Files", "Threads"]),
    // The server's readers of requests, which know no HTTP.
    .target(
      name: "Serving", dependencies: ["Inference", "Tokenizers", "JSON"], path: "Sources/Serving",
      sources: [
        "Requests/ChatRequest.swift", "Requests/CompletionRequest.swift", "Requests/FieldReader.swift",
        "Requests/Fields/FieldRegister.swift", "Requests/Fields/FieldRegister+Tables.swift",
        "Requests/SamplingFields.swift", "Requests/TokenizeRequest.swift", "Engine/CompletionEngine.swift", "HTTP/APIError.swift",
      ], swiftSettings: swiftSettings),
    .target(
      name: "FuzzTargets",
      dependencies: [
        "CFuzzer", "CPUKernels", "Serving", "Tokenizers", "CPUBackend", "Execution", "Inference", "Engines", "Networks", "WeightSources", "Checkpoints",
        "Safetensors", "Schemes", "JSON", "Tensors", "Files", system, ordered,
      ], path: "FuzzTargets", swiftSettings: swiftSettings),
  ]
)
