// swift-tools-version: 6.2
import PackageDescription

// The parsers that read bytes from strangers, built by Scripts/fuzz with coverage counters and linked with libFuzzer.
let swiftSettings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableExperimentalFeature("Lifetimes"),
  .strictMemorySafety(),
]
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let ordered = Target.Dependency.product(name: "OrderedCollections", package: "swift-collections")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")

let package = Package(
  name: "drydock-fuzz",
  platforms: [.macOS(.v15)],
  products: [.library(name: "FuzzTargets", type: .static, targets: ["FuzzTargets"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  ],
  targets: [
    .target(name: "CSystemCalls"),
    .target(name: "JSON", dependencies: [ordered], swiftSettings: swiftSettings),
    .target(name: "CPUKernels", linkerSettings: [.linkedLibrary("m")]),
    .target(name: "Tensors", dependencies: ["CPUKernels"], swiftSettings: swiftSettings),
    .target(name: "Files", dependencies: ["CSystemCalls", system], swiftSettings: swiftSettings),
    .target(name: "Safetensors", dependencies: ["JSON", "Tensors", "Files", system, ordered], swiftSettings: swiftSettings),
    .target(
      name: "Checkpoints", dependencies: ["Safetensors", "JSON", "Tensors", "Files", crypto, system],
      swiftSettings: swiftSettings),
    .target(
      name: "FuzzTargets", dependencies: ["Checkpoints", "Safetensors", "JSON", "Tensors"], path: "FuzzTargets",
      swiftSettings: swiftSettings),
  ]
)
