//! A consumer group with cooperative moves: a partition is asked for, given up, and only then given to the next member. A
//! member whose session ends loses its partitions at once, and learns of it when it looks.

use std::collections::{BTreeMap, VecDeque};

use super::Incarnation;

/// What a member is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It owns these partitions now.
    Assigned(Vec<usize>),
    /// It is asked to give these up.
    Revoked(Vec<usize>),
    /// It does not own these any more; somebody else may.
    Lost(Vec<usize>),
}

/// See the module documentation.
#[derive(Debug)]
pub struct Group {
    members: Vec<Incarnation>,
    owner: Vec<Option<Incarnation>>,
    asked: Vec<bool>,
    inbox: BTreeMap<Incarnation, VecDeque<Event>>,
    shift: usize,
    /// Positions that members have committed: a hint.
    pub committed: Vec<Option<i64>>,
}

impl Group {
    /// A group without members.
    pub fn new(partitions: usize) -> Self {
        Self {
            members: Vec::new(),
            owner: vec![None; partitions],
            asked: vec![false; partitions],
            inbox: BTreeMap::new(),
            shift: 0,
            committed: vec![None; partitions],
        }
    }

    /// The members.
    pub fn members(&self) -> &[Incarnation] {
        &self.members
    }

    /// A member joins, unless it is one.
    pub fn join(&mut self, member: Incarnation) {
        if !self.members.contains(&member) {
            self.members.push(member);
            self.settle();
        }
    }

    /// The session of a member ends.
    pub fn expire(&mut self, member: Incarnation) {
        self.members.retain(|known| *known != member);
        let lost = self.take_from(|owner, _| owner == member);
        self.tell(member, Event::Lost(lost));
        self.settle();
    }

    /// Partitions move on by some members.
    pub fn shift(&mut self, by: usize) {
        self.shift = self.shift.wrapping_add(by);
        self.settle();
    }

    /// Those that were asked have had their time.
    pub fn give_up_waiting(&mut self) {
        self.take_from(|_, asked| asked);
        self.settle();
    }

    /// A member gives up what it was asked for.
    pub fn acknowledge(&mut self, member: Incarnation, partitions: &[usize]) {
        for partition in partitions {
            if self.owner[*partition] == Some(member) && self.asked[*partition] {
                self.owner[*partition] = None;
                self.asked[*partition] = false;
            }
        }
        self.settle();
    }

    /// The next event for a member.
    pub fn take(&mut self, member: Incarnation) -> Option<Event> {
        self.inbox.get_mut(&member)?.pop_front()
    }

    /// A process is gone: nobody reads its events.
    pub fn forget(&mut self, member: Incarnation) {
        self.inbox.remove(&member);
    }

    fn take_from(&mut self, matches: impl Fn(Incarnation, bool) -> bool) -> Vec<usize> {
        let mut taken = Vec::new();
        for partition in 0..self.owner.len() {
            if self.owner[partition].is_some_and(|owner| matches(owner, self.asked[partition])) {
                self.owner[partition] = None;
                self.asked[partition] = false;
                taken.push(partition);
            }
        }
        taken
    }

    fn settle(&mut self) {
        if self.members.is_empty() {
            return;
        }
        let (mut given, mut asked) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for partition in 0..self.owner.len() {
            let target = self.members[partition.wrapping_add(self.shift) % self.members.len()];
            match self.owner[partition] {
                None => {
                    self.owner[partition] = Some(target);
                    given.entry(target).or_default().push(partition);
                }
                Some(owner) if owner != target && !self.asked[partition] => {
                    self.asked[partition] = true;
                    asked.entry(owner).or_default().push(partition);
                }
                Some(_) => {}
            }
        }
        asked.into_iter().for_each(|(member, partitions)| self.tell(member, Event::Revoked(partitions)));
        given.into_iter().for_each(|(member, partitions)| self.tell(member, Event::Assigned(partitions)));
    }

    fn tell(&mut self, member: Incarnation, event: Event) {
        self.inbox.entry(member).or_default().push_back(event);
    }
}
