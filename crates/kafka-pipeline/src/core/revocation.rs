//! Which positions are committed to the group when partitions leave.

use std::collections::BTreeMap;

use crate::record::{NextOffset, TopicPartition};

/// How partitions leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// The group asked for them: the service was told and has acknowledged, or had its time.
    Revoked,
    /// Another member may own them already.
    Lost,
}

/// The positions to commit for partitions that leave: those still `pending`, overruled by what the service has
/// `acknowledged`; none for partitions that were lost, and none of partitions that stay.
pub fn farewell(
    leaving: Leaving,
    partitions: &[TopicPartition],
    pending: BTreeMap<TopicPartition, NextOffset>,
    acknowledged: Vec<(TopicPartition, NextOffset)>,
) -> BTreeMap<TopicPartition, NextOffset> {
    let mut positions = match leaving {
        Leaving::Lost => return BTreeMap::new(),
        Leaving::Revoked => pending,
    };
    positions.extend(acknowledged);
    positions.retain(|at, _| partitions.contains(at));
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_partitions_commit_nothing_and_those_that_stay_are_left_alone() {
        let (a, b, c) = (TopicPartition::new("t", 0), TopicPartition::new("t", 1), TopicPartition::new("t", 2));
        let pending = BTreeMap::from([(a.clone(), NextOffset(3)), (c.clone(), NextOffset(9))]);
        let acknowledged = vec![(a.clone(), NextOffset(5)), (b.clone(), NextOffset(7))];
        let leaving = [a.clone(), c.clone()];
        let told = farewell(Leaving::Revoked, &leaving, pending.clone(), acknowledged.clone());
        assert_eq!(told, BTreeMap::from([(a, NextOffset(5)), (c, NextOffset(9))]));
        assert!(farewell(Leaving::Lost, &leaving, pending, acknowledged).is_empty());
    }
}
