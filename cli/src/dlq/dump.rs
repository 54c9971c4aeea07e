//! Bytes for eyes: offset, sixteen bytes in hexadecimal, the same as ASCII. Pure.

use std::fmt::Write;

const WIDTH: usize = 16;

/// The first `limit` bytes, a line per sixteen; a last line says how many are left out.
pub(crate) fn dump(bytes: &[u8], limit: usize) -> String {
    let shown = &bytes[..bytes.len().min(limit)];
    let mut text = String::with_capacity(shown.len() * 5);
    for (line, chunk) in shown.chunks(WIDTH).enumerate() {
        // Writing to a String can't fail.
        let _ = write!(text, "{:08x} ", line * WIDTH);
        for column in 0..WIDTH {
            let gap = if column == WIDTH / 2 { "  " } else { " " };
            let _ = match chunk.get(column) {
                Some(byte) => write!(text, "{gap}{byte:02x}"),
                None => write!(text, "{gap}  "),
            };
        }
        let ascii: String = chunk.iter().map(|byte| if is_visible(*byte) { char::from(*byte) } else { '.' }).collect();
        let _ = writeln!(text, "  |{ascii}|");
    }
    if shown.len() < bytes.len() {
        let _ = writeln!(text, "{:08x}  … {} more bytes", shown.len(), bytes.len() - shown.len());
    }
    text
}

fn is_visible(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte == b' '
}

/// Lower-case hexadecimal without spaces.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_have_offset_hex_and_ascii() {
        let text = dump(b"\x00\x00\x00\x00\x07\x0ctenant\x1b[2J and some more", 1_000);
        insta::assert_snapshot!(text, @r"
        00000000  00 00 00 00 07 0c 74 65  6e 61 6e 74 1b 5b 32 4a  |......tenant.[2J|
        00000010  20 61 6e 64 20 73 6f 6d  65 20 6d 6f 72 65        | and some more|
        ");
    }

    #[test]
    fn what_is_left_out_is_said() {
        assert_eq!(dump(&[0xff; 40], 16).lines().last(), Some("00000010  … 24 more bytes"));
        assert_eq!(dump(b"", 16), "");
    }

    proptest! {
        #[test]
        fn every_byte_is_in_the_dump(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let text = dump(&bytes, usize::MAX);
            let column = |line: &str| line[9..58].split_whitespace().collect::<String>();
            prop_assert_eq!(text.lines().map(column).collect::<String>(), hex(&bytes));
        }
    }
}
