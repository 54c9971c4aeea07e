//! Small integers for texts that repeat: a row then holds four bytes instead of a string, and a dictionary column is
//! made by handing over the integers.

use std::sync::Arc;

use ahash::RandomState;
use arrow::array::{ArrayRef, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use hashbrown::HashTable;

/// Code of an absent text.
pub const NULL: i32 = -1;
/// Code of the empty text.
pub const EMPTY: i32 = 0;

/// Texts by code and codes by text. The empty text always has the code [`EMPTY`].
pub struct Interner {
    codes: HashTable<i32>,
    hasher: RandomState,
    text: String,
    /// End of each text in `text`; text `c` lies between `ends[c]` and `ends[c + 1]`.
    ends: Vec<i32>,
}

impl Default for Interner {
    fn default() -> Self {
        let mut interner =
            Self { codes: HashTable::new(), hasher: RandomState::new(), text: String::new(), ends: vec![0] };
        interner.intern("");
        interner
    }
}

impl std::fmt::Debug for Interner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interner").field("texts", &self.len()).finish_non_exhaustive()
    }
}

impl Interner {
    /// The code of a text.
    ///
    /// # Panics
    /// When the texts together pass 2 GiB, which the memory budget of the sink rules out by far.
    pub fn intern(&mut self, value: &str) -> i32 {
        let hash = self.hasher.hash_one(value);
        if let Some(code) = self.codes.find(hash, |code| text_of(&self.text, &self.ends, *code) == value) {
            return *code;
        }
        let code = i32::try_from(self.len()).expect("fewer texts than bytes");
        self.text.push_str(value);
        self.ends.push(i32::try_from(self.text.len()).expect("the texts of a route stay below 2 GiB"));
        let (text, ends, hasher) = (&self.text, &self.ends, &self.hasher);
        self.codes.insert_unique(hash, code, |code| hasher.hash_one(text_of(text, ends, *code)));
        code
    }

    /// The code of a text that most often is the text of the row before, whose code is `last`.
    pub fn intern_after(&mut self, last: i32, value: &str) -> i32 {
        if last != NULL && self.value(last) == value { last } else { self.intern(value) }
    }

    /// The code of a text, or [`NULL`].
    pub fn intern_optional(&mut self, value: Option<&str>) -> i32 {
        value.map_or(NULL, |value| self.intern(value))
    }

    /// The text of a code.
    pub fn value(&self, code: i32) -> &str {
        text_of(&self.text, &self.ends, code)
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.ends.len() - 1
    }

    /// Never: the empty text is always there.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.ends.len() * 8
    }

    /// All texts, at the positions of their codes: the values of a dictionary.
    pub fn values(&self) -> ArrayRef {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends.clone()));
        Arc::new(StringArray::new(offsets, Buffer::from(self.text.as_bytes()), None))
    }

    /// For each code its rank in the order of the texts.
    pub fn ranks(&self) -> Vec<u32> {
        let mut codes: Vec<i32> = (0..self.len() as i32).collect();
        codes.sort_unstable_by_key(|code| self.value(*code));
        let mut ranks = vec![0; codes.len()];
        for (rank, code) in (0..).zip(&codes) {
            ranks[*code as usize] = rank;
        }
        ranks
    }
}

fn text_of<'a>(text: &'a str, ends: &[i32], code: i32) -> &'a str {
    let code = code as usize;
    &text[ends[code] as usize..ends[code + 1] as usize]
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn codes_stand_for_their_texts(texts in proptest::collection::vec("[a-cé]{0,3}", 0..60)) {
            let mut interner = Interner::default();
            let mut last = NULL;
            let mut codes = Vec::new();
            for text in &texts {
                last = interner.intern_after(last, text);
                codes.push(last);
            }
            let values = interner.values();
            let ranks = interner.ranks();
            for (code, text) in codes.iter().zip(&texts) {
                prop_assert_eq!(interner.value(*code), text);
                prop_assert_eq!(values.as_string::<i32>().value(*code as usize), text);
                prop_assert_eq!(interner.intern(text), *code);
            }
            for (a, left) in codes.iter().zip(&texts) {
                for (b, right) in codes.iter().zip(&texts) {
                    prop_assert_eq!(ranks[*a as usize].cmp(&ranks[*b as usize]), left.cmp(right));
                }
            }
        }
    }

    #[test]
    fn the_empty_text_has_its_code() {
        let mut interner = Interner::default();
        assert_eq!(interner.intern(""), EMPTY);
        assert_eq!(interner.intern_optional(None), NULL);
    }
}
