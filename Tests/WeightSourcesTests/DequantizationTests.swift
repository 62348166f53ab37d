import Safetensors
import Tensors
import Testing
import WeightSources

struct DequantizationTests {
  @Test(arguments: [GGUFTensorType.q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q4_K, .q5_K, .q6_K])
  func `every block type unpacks to the bits of the reference`(type: GGUFTensorType) throws {
    let file = try Expected.file("dequantization.safetensors")
    let blocks = try file.bytes(of: "\(type.name).blocks")
    let expected = try file.bytes(of: "\(type.name).values")
    #expect(blocks.count / type.blockBytes * type.blockElements * 4 == expected.count && !blocks.isEmpty)
    var values = [UInt8](repeating: 0xFF, count: expected.count)
    unsafe blocks.withUnsafeBytes { source in
      unsafe values.withUnsafeMutableBytes { target in unsafe Dequantization.unpack(type, source, into: target) }
    }
    #expect(values == expected)
  }
}
