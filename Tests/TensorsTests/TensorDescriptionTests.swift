import Tensors
import Testing

struct TensorDescriptionTests {
  @Test func `a scalar has one element and one row`() {
    let scalar = TensorDescription(shape: [], elementType: .float32)
    #expect((scalar.elementCount, scalar.byteCount, scalar.rowCount, scalar.rowByteCount) == (1, 4, 1, 4))
  }
  @Test func `an extent of zero empties a tensor`() {
    let empty = TensorDescription(shape: [3, 0, 5], elementType: .float16)
    #expect((empty.elementCount, empty.byteCount, empty.rowCount, empty.rowByteCount) == (0, 0, 3, 0))
  }
  @Test func `elements narrower than a byte are packed without gaps`() {
    #expect(TensorDescription(shape: [4, 4], elementType: .float6E2M3).byteCount == 12)
    #expect(TensorDescription(shape: [2, 3], elementType: .float4).byteCount == 3)
    #expect(!TensorDescription(shape: [2, 3], elementType: .float4).rowsAreAddressable)
    #expect(TensorDescription(shape: [3, 2], elementType: .float4).rowsAreAddressable)
  }
  @Test func `a size that nobody can have is nil, not a trap`() {
    #expect(TensorDescription.checkedByteCount(shape: [Int.max, 2], elementType: .uint8) == nil)
    #expect(TensorDescription.checkedByteCount(shape: [1 << 40, 1 << 40], elementType: .float4) == nil)
    #expect(TensorDescription.checkedByteCount(shape: [-1], elementType: .uint8) == nil)
    // Nothing takes no bytes, but its rows would.
    #expect(TensorDescription.checkedByteCount(shape: [0, 1 << 62], elementType: .float32) == nil)
    #expect(TensorDescription.checkedByteCount(shape: [0, 5], elementType: .float4) == 0)
    #expect(TensorDescription.checkedByteCount(shape: [3], elementType: .float4) == nil)
    #expect(TensorDescription.checkedByteCount(shape: [2, 3], elementType: .float32) == 24)
    #expect(TensorDescription.checkedByteCount(shape: [], elementType: .complex64) == 8)
  }
  @Test func `config names lead back to their type`() {
    for type in ElementType.allCases { if let name = type.configName { #expect(ElementType(configName: name) == type) } }
    #expect(ElementType(configName: "bfloat16") == .bfloat16)
    #expect(ElementType(configName: "no such type") == nil)
  }
}
