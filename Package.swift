// swift-tools-version: 6.2
import PackageDescription

// Layers: each target imports only targets that stand above it in this list. Rooms, the folders of Sources, follow it.
let swiftSettings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableExperimentalFeature("Lifetimes"),
  .strictMemorySafety(),
]

let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let ordered = Target.Dependency.product(name: "OrderedCollections", package: "swift-collections")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

/// - Parameter room: The folder of `Sources` that the module lies in; nil where it is a folder of its own.
func library(_ name: String, in room: String? = nil, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, path: "Sources/" + (room.map { "\($0)/" } ?? "") + name, swiftSettings: swiftSettings)
}
func tests(_ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
  .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: swiftSettings)
}
let commands = ["convert", "build", "prune", "refit", "run", "serve", "inspect"].map { "trtllm-\($0)" }

let package = Package(
  name: "drydock",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "JSON", targets: ["JSON"]),
    .library(name: "Tensors", targets: ["Tensors"]),
    .library(name: "Schemes", targets: ["Schemes"]),
    .library(name: "Files", targets: ["Files"]),
    .library(name: "Threads", targets: ["Threads"]),
    .library(name: "Safetensors", targets: ["Safetensors"]),
    .library(name: "Checkpoints", targets: ["Checkpoints"]),
    .library(name: "WeightSources", targets: ["WeightSources"]),
    .library(name: "Networks", targets: ["Networks"]),
    .library(name: "Families", targets: ["Families"]),
    .library(name: "Engines", targets: ["Engines"]),
    .library(name: "Execution", targets: ["Execution"]),
    .library(name: "CPUBackend", targets: ["CPUBackend"]),
    .library(name: "CUDABackend", targets: ["CUDABackend"]),
    .library(name: "Backends", targets: ["Backends"]),
    .library(name: "Tokenizers", targets: ["Tokenizers"]),
    .library(name: "Inference", targets: ["Inference"]),
    .library(name: "Serving", targets: ["Serving"]),
    .executable(name: "drydock", targets: ["drydock"]),
  ] + commands.map { .executable(name: $0, targets: [$0]) },
  traits: [
    .default(enabledTraits: ["TLS"]),
    .trait(name: "TLS", description: "HTTPS in trtllm-serve. It brings BoringSSL, a good part of a first build."),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    // C: only arithmetic and system calls, no policy.
    .target(name: "CPUKernels", path: "Sources/C/CPUKernels", linkerSettings: [.linkedLibrary("m")]),
    .target(name: "CUDADriver", path: "Sources/C/CUDADriver"),
    // CUDA C++ that is compiled at run time; here it is text.
    .target(name: "CUDAKernels", path: "Sources/C/CUDAKernels", exclude: ["kernels"]),
    .target(name: "CSystemCalls", path: "Sources/C/CSystemCalls"),
    .target(name: "CSHA256", path: "Sources/C/CSHA256"),
    // Foundations.
    .target(name: "JSON", dependencies: [ordered], path: "Sources/Foundations/JSON", swiftSettings: swiftSettings, linkerSettings: [.linkedLibrary("m")]),
    library("Tensors", in: "Foundations", ["CPUKernels"]),
    library("Files", in: "Foundations", ["CSystemCalls", system]),
    library("Digests", in: "Foundations", ["CSHA256"]),
    library("Threads", in: "Foundations", ["Files"]),
    // How the numbers of weights are kept: one folder a scheme.
    library("Schemes", in: "Weights", ["CPUKernels", "Tensors"]),
    // Formats.
    library("Safetensors", in: "Formats", ["JSON", "Tensors", "Files", system, ordered]),
    library("Checkpoints", in: "Formats", ["Safetensors", "Schemes", "JSON", "Tensors", "Files", "Threads", "Digests", system, ordered]),
    library("Tokenizers", in: "Text", ["JSON", ordered]),
    library("Networks", in: "Models", ["JSON", "Tensors", "Schemes", ordered]),
    library("Families", in: "Models", ["Networks", "Checkpoints", "Schemes", "JSON", "Tensors"]),
    library("WeightSources", in: "Weights", ["CPUKernels", "Families", "Tokenizers", "Checkpoints", "Safetensors", "Schemes", "JSON", "Tensors", "Files", "Threads", system]),
    // Engines.
    library("Engines", [
      "Networks", "Families", "WeightSources", "Checkpoints", "Safetensors", "Schemes", "Tokenizers", "JSON", "Tensors", "Files", "Threads", "Digests", system, ordered,
    ]),
    // Running engines.
    library("Execution", ["Engines", "Tensors", system]),
    library("CPUBackend", in: "Backends", ["CPUKernels", "Execution", "Engines", "Networks", "Schemes", "Tensors", "Files", "Threads", system, ordered]),
    library("CUDABackend", in: "Backends", [
      "CUDADriver", "CUDAKernels", "Execution", "Engines", "Networks", "WeightSources", "Safetensors", "Schemes", "Tensors", "Files", "Threads", "Digests", system, ordered,
    ]),
    library("Backends", in: "Backends", ["CPUBackend", "CUDABackend", "Execution"]),
    // Text in, text out.
    library("Inference", ["Execution", "Engines", "Files", "Threads"]),
    library("Serving", [
      "Inference", "Engines", "WeightSources", "Tokenizers", "JSON", "Files", "Threads", "Digests", logging, system,
      .product(name: "Hummingbird", package: "hummingbird"),
      .product(name: "HummingbirdTLS", package: "hummingbird", condition: .when(traits: ["TLS"])),
      .product(name: "NIOCore", package: "swift-nio"),
      .product(name: "NIOPosix", package: "swift-nio"),
      .product(name: "NIOHTTP1", package: "swift-nio"),
      .product(name: "NIOSSL", package: "swift-nio-ssl", condition: .when(traits: ["TLS"])),
      .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
      .product(name: "HTTPTypes", package: "swift-http-types"),
      .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      .product(name: "UnixSignals", package: "swift-service-lifecycle"),
    ]),
    // The commands.
    library("Commands", [
      "Serving", "Inference", "Tokenizers", "Backends", "Execution", "Engines", "Networks", "Families", "WeightSources", "Checkpoints", "Safetensors",
      "Schemes", "JSON", "Tensors", "Files", "Threads", arguments, logging, system, ordered,
      .product(name: "UnixSignals", package: "swift-service-lifecycle"),
    ]),
  ]
    // All commands in one file, under their names; and each alone, as `swift build` gives them.
    + (commands + ["drydock"]).map { .executableTarget(name: $0, dependencies: ["Commands"], path: "Sources/Executables/\($0)", swiftSettings: swiftSettings) }
    + [
      // Checks and measures an NVIDIA card: see docs/cuda.md.
      .executableTarget(
        name: "drydock-gpu-check",
        dependencies: [
          "Backends", "CUDABackend", "Inference", "Execution", "Engines", "Checkpoints", "Safetensors", "JSON", "Tensors", "Files", "Threads", system, ordered,
        ],
        path: "Sources/Executables/drydock-gpu-check", swiftSettings: swiftSettings),
      .target(name: "TestSupport", dependencies: [system], path: "Tests/TestSupport", swiftSettings: swiftSettings),
      // A back end that computes nothing and checks everything.
      .target(
        name: "RecordingBackend", dependencies: ["Execution", "Engines", "Networks", "Schemes", "Safetensors", "Files", "Tensors", system],
        path: "Tests/RecordingBackend", swiftSettings: swiftSettings),
      // Models of random numbers, and what is done with their engines.
      .target(
        name: "EngineFixtures",
        dependencies: ["CPUBackend", "Engines", "WeightSources", "Safetensors", "Files", "JSON", "Tensors", "TestSupport", system],
        path: "Tests/EngineFixtures", swiftSettings: swiftSettings),
      tests("BackendTests", [
        "Backends", "CPUBackend", "CUDABackend", "CUDADriver", "CUDADouble", "RecordingBackend", "EngineFixtures", "Execution", "Inference", "Engines", "Checkpoints", "Safetensors", "Files", "Threads", "JSON", "Tensors", "TestSupport", system,
      ]),
      // NVIDIA's driver in host memory.
      .target(name: "CUDADouble", dependencies: ["CUDAKernels", "CSHA256"], path: "Tests/CUDADouble", linkerSettings: [.linkedLibrary("m")]),
      tests("CUDABackendTests", [
        "CUDABackend", "CUDADriver", "CUDADouble", "CPUBackend", "Execution", "Engines", "WeightSources", "Checkpoints", "Safetensors", "Files", "JSON", "Tensors",
        "EngineFixtures", "TestSupport", system,
      ]),
      tests("JSONTests", ["JSON", "TestSupport"]),
      tests("TensorsTests", ["Tensors", "TestSupport"]),
      tests("DigestsTests", ["Digests", "TestSupport"]),
      tests("FilesTests", ["Files", "TestSupport", system]),
      tests("SafetensorsTests", ["Safetensors", "Files", "JSON", "Tensors", "TestSupport", system, ordered]),
      tests("CheckpointsTests", ["Checkpoints", "Safetensors", "Files", "JSON", "Tensors", "TestSupport", system, ordered],
        exclude: ["Expected"]),
      tests("WeightSourcesTests", ["WeightSources", "Checkpoints", "Safetensors", "Files", "JSON", "Tensors", "TestSupport", system],
        exclude: ["Expected"]),
      tests("CPUKernelsTests", ["CPUKernels", "CPUBackend", "TestSupport"]),
      tests("EnginesTests", [
        "Engines", "CPUBackend", "Execution", "Networks", "Families", "WeightSources", "Checkpoints", "Safetensors", "Schemes", "Files", "Threads", "JSON", "Tensors",
        "EngineFixtures", "RecordingBackend", "TestSupport", "Digests", system, ordered,
      ], exclude: ["Expected"]),
      tests("InferenceTests", ["Inference", "Execution", "Engines", "RecordingBackend", "TestSupport"]),
      // Uses the libraries as another package would.
      .target(
        name: "Examples", dependencies: ["Backends", "Execution", "Engines", "Inference", "Tokenizers", system], path: "Examples",
        exclude: ["README.md"], swiftSettings: swiftSettings),
      tests("ProductsTests", ["Examples", "Engines", "TestSupport", system]),
      tests("LiveTests", ["Inference", "Execution", "CPUBackend", "CPUKernels", "Engines", "WeightSources", "Safetensors", "Files", "Tensors", "EngineFixtures", "TestSupport", system]),
      tests("TokenizersTests", ["Tokenizers", "WeightSources", "JSON", "TestSupport", system], exclude: ["Expected", "Templates"]),
      tests("ServingTests", [
        "Serving", "Inference", "Execution", "Engines", "WeightSources", "Tokenizers", "JSON", "TestSupport", logging, system,
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdTesting", package: "hummingbird"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOEmbedded", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
        .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ]),
      // These run the commands as processes.
      tests("ServerTests", ["JSON", "TestSupport", system] + commands.map { .target(name: $0) }),
      tests("FaultTests", ["TestSupport", system] + commands.map { .target(name: $0) }, exclude: ["fault_hook.c"]),
      tests("CommandTests", ["Backends", "Execution", "Engines", "Files", "JSON", "Safetensors", "Tensors", "TestSupport", system] + commands.map { .target(name: $0) }),
    ]
)
