//! What a replay is asked for, and how it stands to those that the lane has seen. Pure.

use super::lane::Tail;
use std::collections::BTreeMap;
use std::ops::Range;

/// What is asked for, as it is written into every message of the replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The options as they were given: a replay is continued by the same ones.
    pub(crate) asked: String,
    /// Kafka's timestamps of the messages that may make rows, UTC microseconds.
    pub(crate) time: Range<i64>,
}

impl Request {
    /// The text in the notes.
    pub(crate) fn text(&self) -> String {
        format!("{}..{} {}", self.time.start, self.time.end, self.asked)
    }

    /// Reads [`Self::text`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (time, asked) = text.split_once(' ')?;
        let (start, end) = time.split_once("..")?;
        Some(Self { asked: asked.to_owned(), time: start.parse().ok()?..end.parse().ok()? })
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// A new replay.
    New {
        /// Its number.
        revision: i64,
    },
    /// The same request was interrupted: it goes on.
    Resume {
        /// Its number.
        revision: i64,
        /// What it was asked, with the times of then.
        request: Request,
    },
    /// Another replay was interrupted.
    Unfinished {
        /// Its number.
        revision: i64,
        /// What it was asked.
        asked: String,
    },
}

/// Finds out how to begin from the last message of every partition.
pub(crate) fn begin(tails: &BTreeMap<i32, Tail>, asked: &str, now_ms: i64) -> Beginning {
    let Some(newest) = tails.values().map(|tail| tail.note.revision).max() else {
        return Beginning::New { revision: now_ms };
    };
    let of_newest = || tails.values().filter(|tail| tail.note.revision == newest);
    let sent = of_newest().filter(|tail| tail.note.origin_offset >= tail.note.last_offset).count();
    let finished = of_newest().all(|tail| sent as u64 >= u64::from(tail.note.partitions));
    let request = of_newest().find_map(|tail| Request::parse(&tail.note.plan));
    match request {
        Some(request) if !finished && request.asked == asked => Beginning::Resume { revision: newest, request },
        Some(request) if !finished => Beginning::Unfinished { revision: newest, asked: request.asked },
        _ => Beginning::New { revision: now_ms.max(newest + 1) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meterway_schemas::replay::ReplayNote;

    fn tail(revision: i64, origin_offset: i64, last_offset: i64, asked: &str) -> Tail {
        let plan = Request { asked: asked.into(), time: 5..9 }.text();
        let note = ReplayNote { revision, origin_offset, last_offset, plan, partitions: 1, ..ReplayNote::default() };
        Tail { note, offset: 0 }
    }

    fn begin_with(tails: Vec<Tail>, asked: &str) -> Beginning {
        begin(&(0..).zip(tails).collect(), asked, 100)
    }

    #[test]
    fn a_replay_that_was_killed_is_continued_by_the_same_request() {
        let with_two = |mut tail: Tail| {
            tail.note.partitions = 2;
            tail
        };
        let tails = || vec![with_two(tail(7, 20, 20, "a")), with_two(tail(7, 11, 30, "a")), tail(3, 1, 9, "b")];
        let request = Request { asked: "a".into(), time: 5..9 };
        assert_eq!(begin_with(tails(), "a"), Beginning::Resume { revision: 7, request });
        assert_eq!(begin_with(tails(), "b"), Beginning::Unfinished { revision: 7, asked: "a".into() });
        let mut unheard = tail(7, 20, 20, "a");
        unheard.note.partitions = 2;
        assert!(matches!(begin_with(vec![unheard], "a"), Beginning::Resume { .. }), "a partition got nothing yet");
    }

    #[test]
    fn numbers_grow_even_when_the_clock_went_back() {
        assert_eq!(begin_with(vec![], "a"), Beginning::New { revision: 100 });
        assert_eq!(begin_with(vec![tail(7, 20, 20, "a")], "a"), Beginning::New { revision: 100 });
        assert_eq!(begin_with(vec![tail(900, 20, 20, "a")], "a"), Beginning::New { revision: 901 });
    }

    #[test]
    fn a_request_survives_its_text() {
        let request = Request { asked: "from=2026-01-01 device=d 1".into(), time: -4..9 };
        assert_eq!(Request::parse(&request.text()), Some(request));
        assert_eq!(Request::parse("nonsense"), None);
    }
}
