//! An image without names: code, data, and the table of where functions begin.

const HEADERS: usize = 64 + 3 * 56;
pub const CODE: u64 = 0x1_0000;
pub const DATA: u64 = 0x10_0000;
const FRAMES: u64 = 0x20_0000;

/// Appends a call of what is at an address.
pub fn call(code: &mut Vec<u8>, to: u64) {
    let next = CODE + code.len() as u64 + 5;
    code.push(0xe8);
    code.extend((to.wrapping_sub(next) as u32).to_le_bytes());
}

/// Makes an image of which functions begin at these addresses.
pub fn image(code: &[u8], data: &[u8], begins: &[u64]) -> Vec<u8> {
    let mut image = b"\x7fELF\x02\x01\x01".to_vec();
    image.resize(16, 0);
    image.extend([3, 0, 62, 0, 1, 0, 0, 0]);
    image.extend([0_u64, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
    image.extend([0, 0, 0, 0, 64, 0, 56, 0, 3, 0, 64, 0, 0, 0, 0, 0]);
    let parts = [
        (1_u32, 5_u32, CODE, code),
        (1, 6, DATA, data),
        (0x6474_e550, 4, FRAMES, &frames(begins)),
    ];
    let mut at = HEADERS;
    for (kind, flags, address, part) in parts {
        image.extend(kind.to_le_bytes());
        image.extend(flags.to_le_bytes());
        let size = part.len() as u64;
        let words = [at as u64, address, address, size, size, 1];
        image.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        at += part.len();
    }
    image.extend(parts.iter().flat_map(|(_, _, _, part)| *part));
    image
}

fn frames(begins: &[u64]) -> Vec<u8> {
    let mut table = vec![1, 0x1b, 0x03, 0x3b, 0, 0, 0, 0];
    table.extend((begins.len() as u32).to_le_bytes());
    for begin in begins {
        table.extend((begin.wrapping_sub(FRAMES) as u32).to_le_bytes());
        table.extend([0; 4]);
    }
    table
}
