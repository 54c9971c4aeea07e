//! Partitions that are assigned and must not be read, each with the reason.

use std::collections::BTreeMap;

use lake::{HeadKey, HeadSet, Refusal};

/// See the module documentation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals(BTreeMap<i32, Refusal>);

impl Refusals {
    /// Refuses a partition; true when that is news and not the same refusal once more.
    pub fn add(&mut self, partition: i32, refusal: Refusal) -> bool {
        let news = self.0.get(&partition).map(Refusal::reason) != Some(refusal.reason());
        self.0.insert(partition, refusal);
        news
    }

    /// The partition may be read, or is not ours any more; true when it was refused before.
    pub fn remove(&mut self, partition: i32) -> bool {
        self.0.remove(&partition).is_some()
    }

    /// Whether the partition was found truncated and its head has not been moved since. Then the log must not be asked
    /// again: when it has grown past the head, it looks as if nothing had happened, and what was written meanwhile would be
    /// skipped.
    pub fn holds(&self, key: &HeadKey, heads: &HeadSet) -> bool {
        match self.0.get(&key.partition) {
            Some(Refusal::Truncated { key: refused, next, .. }) => {
                refused == key && heads.get(key).is_ok_and(|head| head.is_some_and(|head| head.next == *next))
            }
            _ => false,
        }
    }

    /// The refused partitions.
    pub fn partitions(&self) -> Vec<i32> {
        self.0.keys().copied().collect()
    }

    /// Whether nothing is refused.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many partitions are refused for each reason, those without any included.
    pub fn counts(&self) -> [(&'static str, usize); Refusal::REASONS.len()] {
        Refusal::REASONS.map(|reason| (reason, self.0.values().filter(|refusal| refusal.reason() == reason).count()))
    }

    /// What to tell whoever asks why the service is not ready; `None` when nothing is refused.
    pub fn summary(&self) -> Option<String> {
        let first = self.0.values().next()?;
        match self.0.len() - 1 {
            0 => Some(first.to_string()),
            more => Some(format!("{first} (and {more} more partitions)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use lake::Head;

    use super::*;

    fn expired(partition: i32) -> Refusal {
        Refusal::Expired { key: HeadKey::new("t", "id", partition), next: 1, low: 2 }
    }

    #[test]
    fn refusals_are_counted_by_reason_and_told_once() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.summary(), None);
        assert!(refusals.add(3, expired(3)) && refusals.add(5, expired(5)));
        assert!(!refusals.add(3, expired(3)), "the same again is no news");
        let truncated = Refusal::Truncated { key: HeadKey::new("t", "id", 3), next: 9, high: 2 };
        assert!(refusals.add(3, truncated), "another reason is");
        assert_eq!(refusals.counts(), [("replaced", 0), ("expired", 1), ("truncated", 1)]);
        assert_eq!(refusals.partitions(), [3, 5]);
        let summary = refusals.summary().unwrap();
        assert!(summary.contains("topic-truncated.md (and 1 more partitions)"), "{summary}");
        assert!(refusals.remove(3) && !refusals.remove(3));
    }

    #[test]
    fn a_truncated_partition_waits_for_its_head_to_be_moved() {
        let key = HeadKey::new("t", "id", 0);
        let heads = |next| HeadSet::from_iter([(HeadKey::new("t", "id", 0), Head::starting_at(next))]);
        let mut refusals = Refusals::default();
        assert!(!refusals.holds(&key, &heads(9)));
        refusals.add(0, Refusal::Truncated { key: key.clone(), next: 9, high: 2 });
        assert!(refusals.holds(&key, &heads(9)), "however far the log has grown meanwhile");
        assert!(!refusals.holds(&key, &heads(2)), "an operator has decided");
        assert!(!refusals.holds(&HeadKey::new("t", "other", 0), &heads(9)), "a new topic is judged anew");
        refusals.add(0, expired(0));
        assert!(!refusals.holds(&key, &heads(1)), "retention does not go backwards: the log may be asked");
    }
}
