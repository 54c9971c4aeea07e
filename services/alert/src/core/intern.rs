//! One copy of each of the few texts that thousands of devices share.

use std::sync::Arc;

use hashbrown::HashSet;

/// Hands out shared copies of texts. For names of channels, units, tenants: a handful of different ones.
#[derive(Debug, Default)]
pub struct Intern(HashSet<Arc<str>>);

impl Intern {
    /// The shared copy of the text.
    pub fn get(&mut self, text: &str) -> Arc<str> {
        Arc::clone(self.0.get_or_insert_with(text, |text| Arc::from(text)))
    }
}
