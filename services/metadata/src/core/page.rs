//! Pages by key: a page begins after the last key of the one before, so rows that come and go can't shift it.

use super::fields::Violations;

/// Rows of a page when the caller doesn't say.
const DEFAULT_SIZE: u32 = 100;

/// Most rows of a page. Larger pages would hold more memory per request for no fewer bytes in all.
const MAX_SIZE: u32 = 1_000;

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Rows to return.
    pub size: usize,
    /// Key after which to begin; empty for the beginning, since no key is empty.
    pub after: String,
}

impl Page {
    /// Takes size and token of a request.
    ///
    /// # Errors
    /// When the token is none that [`Page::cut`] made.
    pub fn parse(size: u32, token: &str) -> Result<Self, Violations> {
        let size = if size == 0 { DEFAULT_SIZE } else { size.min(MAX_SIZE) };
        let after = hex::decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let after = after.ok_or_else(|| Violations::one("page_token", "is not a token of a page before"))?;
        Ok(Self { size: size as usize, after })
    }

    /// Rows to ask the database for: one more than the page holds tells whether there is another page.
    pub fn limit(&self) -> i64 {
        self.size as i64 + 1
    }

    /// Cuts the surplus row off and makes the token of the next page; empty when this is the last.
    pub fn cut<T>(&self, rows: &mut Vec<T>, key: impl Fn(&T) -> String) -> String {
        if rows.len() <= self.size {
            return String::new();
        }
        rows.truncate(self.size);
        rows.last().map(|row| hex::encode(key(row))).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pages_together_are_the_whole(count in 0_usize..50, size in 1_u32..12) {
            let all: Vec<String> = (0..count).map(|n| format!("key-{n:03}")).collect();
            let (mut seen, mut token) = (Vec::new(), String::new());
            loop {
                let page = Page::parse(size, &token).unwrap();
                let from = all.iter().filter(|key| **key > page.after).take(page.limit() as usize);
                let mut rows: Vec<String> = from.cloned().collect();
                token = page.cut(&mut rows, String::clone);
                prop_assert!(rows.len() <= size as usize);
                seen.extend(rows);
                if token.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(seen, all);
        }
    }

    #[test]
    fn a_foreign_token_is_refused_and_a_huge_page_is_cut() {
        assert!(Page::parse(1, "not hex").is_err());
        assert_eq!(Page::parse(0, "").unwrap(), Page { size: 100, after: String::new() });
        assert_eq!(Page::parse(1_000_000, "").unwrap().size, 1_000);
    }
}
