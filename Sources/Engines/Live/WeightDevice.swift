public import Threads
public import WeightSources

/// A device that makes weights by itself, of numbers as they are stored: what is sent to it, and what it has already.
///
/// The bytes are those that `WeightMaker` makes, and so are the digests, which are of the bytes that the device holds.
public protocol WeightDevice: AnyObject, Sendable {
  /// Whether it can; what it cannot is made by the processor.
  func canMake(_ order: WeightOrder) -> Bool

  /// Makes weights beside those in use, none of which changes. Blocks the calling thread.
  ///
  /// - Parameters:
  ///   - workers: Threads that read and send.
  ///   - isCancelled: Asked now and then; true ends it with a `CancellationError`.
  /// - Returns: For each order what became of it.
  /// - Throws: ``LiveWeightsError/outOfDeviceMemory(wanted:available:deletable:)``, what reading throws, and errors of the device. Nothing is kept then.
  func make(
    _ orders: [WeightOrder], workers: Int, progress: ProgressCounter?, isCancelled: @escaping @Sendable () -> Bool
  ) throws -> [DeviceMadeWeight]

  /// Digests of weights as the device holds them for the engine's own, in hexadecimal.
  func digests(ofFileWeights names: [String]) throws -> [String]
}

/// A weight in a device's memory; given back when its last owner goes.
public protocol DeviceWeight: AnyObject, Sendable {
  /// As the engine stores the weight, packed.
  var byteCount: Int { get }
  /// Copies some of its bytes to host memory of that size.
  func copy(_ range: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws
}

/// A weight that a device has made.
public struct DeviceMadeWeight: Sendable {
  /// Packed as the engine's plan stores it.
  public let weight: any DeviceWeight
  /// A tree over leaves of 64 KiB, in hexadecimal.
  public let digest: String
  /// Elements that are NaN or infinite.
  public let nonFiniteCount: Int

  /// - Parameter digest: Tree digest in hexadecimal, equal to that of the same bytes in a file.
  public init(_ weight: any DeviceWeight, digest: String, nonFiniteCount: Int) {
    self.weight = weight
    self.digest = digest
    self.nonFiniteCount = nonFiniteCount
  }
}

/// A weight that a device is to make: a recipe whose tensors are taken apart into numbers as they are stored.
public struct WeightOrder: Sendable {
  /// Of the engine's plan.
  public let name: String
  /// What is done to the tensors' rows.
  public let program: RecipeProgram
  /// All rows of the weight, in order.
  public let rows: [StoredRows]
  /// As the weight is stored.
  public let byteCount: Int

  /// Nil where the source cannot say of what the rows are made, or where the weight is no plain numbers.
  init?(_ name: String, _ program: RecipeProgram, byteCount: Int, from source: any WeightSource, rank: Int) {
    guard case .plain = program.scheme else { return nil }
    (self.name, self.program, self.byteCount) = (name, program, byteCount)
    var rows: [StoredRows] = []
    var next = 0
    for part in program.parts {
      guard let stored = source.storedRows(of: part.name, rank: rank) else { return nil }
      for var piece in stored {
        let end = piece.rows.upperBound + part.rows.lowerBound
        piece.rows = piece.rows.lowerBound + part.rows.lowerBound..<end
        guard piece.rows.lowerBound == next, end <= part.rows.upperBound, piece.columns == program.columns else { return nil }
        next = end
        rows.append(piece)
      }
      guard next == part.rows.upperBound else { return nil }
    }
    guard next == program.rowCount else { return nil }
    self.rows = rows
  }
}

extension StoredRows {
  /// Elements in a row: 1 for a vector.
  fileprivate var columns: Int { numbers.shape.count == 2 ? numbers.shape[1] : 1 }
}
