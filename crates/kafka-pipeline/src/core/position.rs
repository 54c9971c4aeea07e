//! Which records of a partition are taken, and which hand-overs still count.
//!
//! Every start and every revocation of a partition gives it a new epoch. Records are taken under an epoch and count only
//! while it is current, so that nothing read before a start or a revocation comes out after it.

/// The epoch of an assigned partition; rises with every start and with the revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch behind this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Whether what was read under `other` still counts.
    pub fn covers(self, other: Self) -> bool {
        self == other
    }
}

/// What a record is to a partition that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The service has not said where to begin.
    NotStarted,
    /// Left over from before a start: already taken, or not wanted.
    LeftOver,
    /// The client moved the position back, as its reset policy allows: what was collected ends here.
    WentBack,
    /// The next one.
    Next,
}

/// Where reading of a partition stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    epoch: Option<Epoch>,
    next: i64,
}

impl Position {
    /// Takes records from `lowest` on, under a new epoch.
    pub fn begin(&mut self, epoch: Epoch, lowest: i64) {
        *self = Self { epoch: Some(epoch), next: lowest };
    }

    /// The epoch that records are taken under; `None` before the first start.
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// Offset expected next; lower ones are left over, or the position was reset.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Judges the record at an offset, and moves behind it when it is taken. `may_go_back` says whether the reset policy
    /// may have moved the client to an older position.
    pub fn admit(&mut self, offset: i64, may_go_back: bool) -> Admission {
        let admission = match self.epoch {
            None => return Admission::NotStarted,
            Some(_) if offset >= self.next => Admission::Next,
            Some(_) if may_go_back => Admission::WentBack,
            Some(_) => return Admission::LeftOver,
        };
        self.next = offset + 1;
        admission
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Start(i64),
        Revoke,
        Read(i64),
        HandOver,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            1 => (0..20i64).prop_map(Step::Start),
            1 => Just(Step::Revoke),
            6 => (0..20i64).prop_map(Step::Read),
            3 => Just(Step::HandOver),
        ]
    }

    proptest! {
        /// However starts, revocations and left-over records mix: what comes out since the last start rises strictly from
        /// where it said, and nothing comes out after a revocation.
        #[test]
        fn what_comes_out_rises_from_the_last_start(steps in prop::collection::vec(step(), 0..200)) {
            let (mut current, mut position) = (Epoch::default(), Position::default());
            let mut queue = std::collections::VecDeque::new();
            let mut lowest = None;
            for step in steps {
                match step {
                    Step::Start(at) => {
                        current = current.next();
                        position.begin(current, at);
                        lowest = Some(at);
                    }
                    Step::Revoke => {
                        current = current.next();
                        lowest = None;
                    }
                    Step::Read(offset) => {
                        if position.admit(offset, false) == Admission::Next {
                            queue.push_back((position.epoch().unwrap(), offset));
                        }
                    }
                    Step::HandOver => {
                        let Some((epoch, offset)) = queue.pop_front() else { continue };
                        if current.covers(epoch) {
                            prop_assert!(lowest.is_some_and(|lowest| offset >= lowest), "{offset} after {lowest:?}");
                            lowest = Some(offset + 1);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_is_taken_before_a_start_and_a_reset_is_told() {
        let mut position = Position::default();
        assert_eq!(position.admit(5, true), Admission::NotStarted);
        position.begin(Epoch(1), 7);
        assert_eq!(position.admit(6, false), Admission::LeftOver);
        assert_eq!(position.admit(9, false), Admission::Next);
        assert_eq!(position.admit(3, true), Admission::WentBack);
        assert_eq!(position.next(), 4);
    }
}
