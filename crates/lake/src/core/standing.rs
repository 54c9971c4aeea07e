//! Whether a partition can be read on from where a table stands.

use super::heads::{Head, HeadKey, HeadSet, TopicReplaced};

/// Why a partition cannot be read on from where its table stands. Going on would skip records or take other ones for
/// them, so it is refused until an operator decides; the page that each message names says how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The topic is not the one the table was fed from.
    #[error("{0}; see docs/runbooks/topic-replaced.md")]
    Replaced(#[from] TopicReplaced),
    /// Records that the table lacks have been removed by retention.
    #[error(
        "{key}: the table continues at offset {next}, but the oldest record left is {low}: {} records are lost; see \
         docs/runbooks/retention-overrun.md", low - next
    )]
    Expired {
        /// The partition.
        key: HeadKey,
        /// Head of the table.
        next: i64,
        /// Oldest offset of the partition.
        low: i64,
    },
    /// The table is ahead of the topic: the topic was truncated.
    #[error(
        "{key}: the table continues at offset {next}, but the topic ends at {high}: records were removed from its end; see \
         docs/runbooks/topic-truncated.md"
    )]
    Truncated {
        /// The partition.
        key: HeadKey,
        /// Head of the table.
        next: i64,
        /// End of the partition.
        high: i64,
    },
}

impl Refusal {
    /// Every value of [`Self::reason`].
    pub const REASONS: [&'static str; 3] = ["replaced", "expired", "truncated"];

    /// One word of a closed list, for labels of metrics and for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Replaced(_) => "replaced",
            Self::Expired { .. } => "expired",
            Self::Truncated { .. } => "truncated",
        }
    }
}

impl HeadSet {
    /// The head of a partition whose log holds the offsets `[low, high)`, when the log holds what the table needs next;
    /// `None` when the table has taken in nothing of the partition.
    ///
    /// # Errors
    /// [`Refusal`] when it does not.
    pub fn standing(&self, key: &HeadKey, (low, high): (i64, i64)) -> Result<Option<Head>, Refusal> {
        match self.get(key)? {
            Some(head) if head.next < low => Err(Refusal::Expired { key: key.clone(), next: head.next, low }),
            Some(head) if head.next > high => Err(Refusal::Truncated { key: key.clone(), next: head.next, high }),
            known => Ok(known),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> HeadKey {
        HeadKey::new("meter.readings.raw.v1", id, 0)
    }

    #[test]
    fn each_way_to_lack_the_next_record_is_told_apart() {
        let heads = HeadSet::from_iter([(key("a"), Head::starting_at(10))]);
        let standing = |id: &str, bounds| heads.standing(&key(id), bounds);
        assert_eq!(standing("a", (10, 10)), Ok(Some(Head::starting_at(10))));
        assert_eq!(standing("a", (11, 20)), Err(Refusal::Expired { key: key("a"), next: 10, low: 11 }));
        assert_eq!(standing("a", (0, 9)), Err(Refusal::Truncated { key: key("a"), next: 10, high: 9 }));
        assert_eq!(standing("b", (0, 20)).unwrap_err().reason(), "replaced");
        assert_eq!(HeadSet::default().standing(&key("a"), (5, 9)), Ok(None));
    }

    #[test]
    fn every_message_names_its_page_and_its_reason_is_listed() {
        let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
        let replaced = TopicReplaced { topic: "t".into(), known: "a".into(), found: "b".into() };
        let refusals = [
            Refusal::Replaced(replaced),
            Refusal::Expired { key: key("a"), next: 1, low: 2 },
            Refusal::Truncated { key: key("a"), next: 2, high: 1 },
        ];
        assert_eq!(refusals.each_ref().map(Refusal::reason), Refusal::REASONS);
        for refusal in refusals {
            let text = refusal.to_string();
            let (_, page) = text.rsplit_once("see ").unwrap();
            assert!(std::path::Path::new(&format!("{pages}{page}")).is_file(), "{page} does not exist");
        }
    }
}
