//! Zone data made for a test.

/// A file of zone data whose rule says all ([RFC 9636](https://www.rfc-editor.org/rfc/rfc9636)): it has no change of its own.
pub fn tzif(rule: &str) -> Vec<u8> {
    let mut block = b"TZif2".to_vec();
    block.extend([0; 15]);
    for count in [0_u32, 0, 0, 0, 1, 4] {
        block.extend(count.to_be_bytes());
    }
    block.extend([0; 6]);
    block.extend(b"AAA\0");
    [&block[..], &block, format!("\n{rule}\n").as_bytes()].concat()
}
