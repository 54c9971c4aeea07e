//! Whether a race for one object was decided as the lake needs it. Pure.

use super::finding::Finding;
use super::store::STORE;
use std::time::Duration;

const CHECK: &str = "conditional writes";
const ANOTHER_STORE: &str = "use a store that keeps If-None-Match atomic, or a newer version of this one";

/// What a writer was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// That it created the object.
    Won,
    /// That the object exists already.
    Lost,
    /// Something else, or nothing.
    Unknown(String),
}

/// A race of several writers for one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Round {
    /// What each writer was told.
    pub attempts: Vec<Attempt>,
    /// Whose object was found afterwards.
    pub stored: Option<usize>,
}

impl Round {
    fn winners(&self) -> Vec<usize> {
        let won = |(writer, attempt): (usize, &Attempt)| (*attempt == Attempt::Won).then_some(writer);
        self.attempts.iter().enumerate().filter_map(won).collect()
    }

    /// Whether one writer was told that it won, and the object is another's.
    fn is_someone_elses(&self) -> bool {
        self.stored.is_some_and(|stored| matches!(self.winners()[..], [winner] if winner != stored))
    }

    fn unknown(&self) -> Option<&str> {
        self.attempts.iter().find_map(|attempt| match attempt {
            Attempt::Unknown(reason) => Some(reason.as_str()),
            Attempt::Won | Attempt::Lost => None,
        })
    }
}

/// One winner per round, whose object it is; nothing less will do.
pub(crate) fn judge(rounds: &[Round], took: Duration) -> Finding {
    if let Some(round) = rounds.iter().find(|round| round.winners().len() > 1) {
        let (winners, writers) = (round.winners().len(), round.attempts.len());
        return Finding::fail(STORE, CHECK, format!("{winners} of {writers} writers created the same object")).advise(
            "two commits could both succeed and one of them be lost: the lake is not safe here",
            ANOTHER_STORE,
        );
    }
    if let Some(round) = rounds.iter().find(|round| round.is_someone_elses()) {
        let (told, stored) = (round.winners(), round.stored);
        return Finding::fail(
            STORE,
            CHECK,
            format!("writer {told:?} was told it won, the object is that of {stored:?}"),
        )
        .advise("a commit that was refused took effect: the lake is not safe here", ANOTHER_STORE);
    }
    if let Some(reason) = rounds.iter().find_map(Round::unknown) {
        return Finding::warn(STORE, CHECK, format!("not decided: {reason}"))
            .advise("some writers got no clear answer, so the race proves nothing", "run meterway doctor again");
    }
    if rounds.iter().any(|round| round.winners().is_empty()) {
        return Finding::fail(STORE, CHECK, "nobody could create a new object with If-None-Match")
            .advise("no commit can succeed", "the store refuses conditional writes; use another store or version");
    }
    let writers = rounds.first().map_or(0, |round| round.attempts.len());
    let found = format!("one winner in each of {} races of {writers} writers, {} ms", rounds.len(), took.as_millis());
    Finding::ok(STORE, CHECK, found)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;
    use proptest::prelude::*;

    fn round(attempts: &str, stored: Option<usize>) -> Round {
        let attempt = |letter| match letter {
            'W' => Attempt::Won,
            'L' => Attempt::Lost,
            _ => Attempt::Unknown("status 503".into()),
        };
        Round { attempts: attempts.chars().map(attempt).collect(), stored }
    }

    fn verdict(rounds: &[Round]) -> Verdict {
        judge(rounds, Duration::from_millis(5)).verdict
    }

    #[test]
    fn one_winner_each_is_good() {
        let found = judge(&[round("LWLL", Some(1)), round("LLLW", Some(3))], Duration::from_millis(5));
        let expected = "one winner in each of 2 races of 4 writers, 5 ms";
        assert_eq!((found.verdict, &*found.found), (Verdict::Ok, expected));
    }

    #[test]
    fn two_winners_no_winner_and_the_wrong_winner_fail() {
        assert_eq!(verdict(&[round("LWLL", Some(1)), round("WLLW", Some(3))]), Verdict::Fail);
        assert_eq!(verdict(&[round("LLLL", None)]), Verdict::Fail);
        assert_eq!(verdict(&[round("LWLL", Some(2))]), Verdict::Fail);
    }

    #[test]
    fn an_unclear_answer_proves_nothing_but_does_not_hide_two_winners() {
        assert_eq!(verdict(&[round("LW?L", Some(1))]), Verdict::Warn);
        assert_eq!(verdict(&[round("LL?L", Some(2))]), Verdict::Warn);
        assert_eq!(verdict(&[round("WW??", Some(1))]), Verdict::Fail);
    }

    proptest! {
        #[test]
        fn only_rounds_with_exactly_one_winner_pass(rounds in proptest::collection::vec("[WL]{1,8}", 1..5)) {
            let all: Vec<_> = rounds.iter().map(|text| round(text, text.find('W'))).collect();
            let good = rounds.iter().all(|text| text.matches('W').count() == 1);
            prop_assert_eq!(verdict(&all) == Verdict::Ok, good);
        }
    }
}
