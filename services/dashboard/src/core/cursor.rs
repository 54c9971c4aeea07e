//! Where a page of a list ends: opaque to clients, plain text inside.

/// The parts of a cursor, as text in hexadecimal: unreadable enough that nobody builds on its form.
pub fn encode(parts: &[&str]) -> String {
    hex::encode(parts.join("\u{1f}"))
}

/// The parts of a cursor that has so many; `None` when it is none of ours.
pub fn decode<const N: usize>(cursor: &str) -> Option<[String; N]> {
    let text = String::from_utf8(hex::decode(cursor).ok()?).ok()?;
    let parts: Vec<String> = text.split('\u{1f}').map(str::to_owned).collect();
    parts.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_and_nothing_else_is_taken() {
        assert_eq!(decode::<2>(&encode(&["2026-03-29T00:00:00Z", "é"])).unwrap(), ["2026-03-29T00:00:00Z", "é"]);
        assert_eq!(decode::<1>(&encode(&["a", "b"])), None);
        assert_eq!(decode::<1>("zz"), None);
        assert_eq!(decode::<1>("ff"), None, "no text");
    }
}
