//! Places at which a process can be made to die, stop, panic or wait, so that a test hits exactly the moment it is about.
//!
//! In a build without debug assertions nothing of this exists: [`fail_point`] is empty and the variable is not read.

/// Passes the place of this name. What happens there, if anything, the variable `METER_FAIL_POINTS` said at the start:
/// clauses `point=action[@n[+]]` separated by `;`, where `@n` is the pass that fires (the first when not given) and `+`
/// lets every later one fire as well.
///
/// # Panics
/// When the action is `panic`.
#[inline]
pub async fn fail_point(point: &'static str) {
    #[cfg(debug_assertions)]
    active::pass(point).await;
    #[cfg(not(debug_assertions))]
    let _ = point;
}

#[cfg(debug_assertions)]
pub(crate) use active::{VARIABLE, arm};

#[cfg(debug_assertions)]
mod active {
    use std::fmt;
    use std::str::FromStr;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use humantime_serde::re::humantime;
    use rustix::process::{Signal, getpid, kill_process};

    pub(crate) const VARIABLE: &str = "METER_FAIL_POINTS";

    /// Every place there is: a name that is not here is a spelling mistake, and would make a test that cannot fail.
    /// `tests/integration/tests/architecture.rs` compares this with the code and with the README.
    const POINTS: &[&str] = &[
        "alert.after_publish",
        "alert.after_store",
        "ingest.after_delivery",
        "lake.after_commit",
        "lake.before_commit",
        "loader.after_commit",
        "loader.after_copy",
        "loader.after_ledger",
        "loader.before_announced",
        "loader.before_commit",
        "metadata.after_publish",
        "sink.after_commit",
        "sink.after_put",
        "sink.before_revoke_ack",
        "validate.after_dead_letters",
        "validate.after_delivery",
        "validate.after_send",
        "validate.before_revoke_ack",
    ];

    /// How long a thread that has signalled its own process waits before it goes on: another thread may take the signal,
    /// and this one must not get past the point meanwhile.
    const SIGNAL_TAKES: Duration = Duration::from_millis(200);

    static ARMED: OnceLock<Armed> = OnceLock::new();

    /// Reads the variable's value and arms what it names; tells so in the log.
    ///
    /// # Errors
    /// [`Mistake`] names the clause that can't be read.
    pub(crate) fn arm(text: &str) -> Result<(), Mistake> {
        let armed = Armed::parse(text)?;
        if !armed.0.is_empty() {
            tracing::warn!(fail_points = text, "fail points are armed");
        }
        let _first_wins = ARMED.set(armed);
        Ok(())
    }

    pub(super) async fn pass(point: &'static str) {
        let Some(armed) = ARMED.get() else { return };
        for (action, pass) in armed.pass(point) {
            tracing::warn!(fail_point = point, action = %action, pass, "fail point fires");
            act(point, action).await;
        }
    }

    async fn act(point: &'static str, action: Action) {
        match action {
            Action::Kill => signal_self(Signal::KILL),
            Action::Stop => signal_self(Signal::STOP),
            Action::Panic => panic!("fail point {point}"),
            Action::Delay(duration) => crate::sleep(duration).await,
        }
    }

    fn signal_self(signal: Signal) {
        kill_process(getpid(), signal).expect("a process may signal itself");
        std::thread::sleep(SIGNAL_TAKES);
    }

    /// A clause that can't be read.
    #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
    pub(crate) enum Mistake {
        #[error("{variable}: {0:?} is not point=action[@n[+]]", variable = VARIABLE)]
        Clause(String),
        #[error("{variable}: {0:?} is no fail point; there are {all}", variable = VARIABLE, all = POINTS.join(", "))]
        Point(String),
        #[error("{variable}: {0:?} is none of kill, stop, panic, delay(500ms)", variable = VARIABLE)]
        Action(String),
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Action {
        Kill,
        Stop,
        Panic,
        Delay(Duration),
    }

    impl fmt::Display for Action {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Kill => f.write_str("kill"),
                Self::Stop => f.write_str("stop"),
                Self::Panic => f.write_str("panic"),
                Self::Delay(duration) => write!(f, "delay({})", humantime::format_duration(*duration)),
            }
        }
    }

    impl FromStr for Action {
        type Err = Mistake;

        fn from_str(text: &str) -> Result<Self, Mistake> {
            let wrong = || Mistake::Action(text.to_owned());
            match text {
                "kill" => Ok(Self::Kill),
                "stop" => Ok(Self::Stop),
                "panic" => Ok(Self::Panic),
                _ => {
                    let inner =
                        text.strip_prefix("delay(").and_then(|rest| rest.strip_suffix(')')).ok_or_else(wrong)?;
                    humantime::parse_duration(inner).map(Self::Delay).map_err(|_| wrong())
                }
            }
        }
    }

    #[derive(Debug)]
    struct Clause {
        point: String,
        action: Action,
        first: u64,
        repeats: bool,
        passes: AtomicU64,
    }

    impl Clause {
        /// Counts a pass; its number when it fires.
        fn pass(&self) -> Option<u64> {
            let pass = self.passes.fetch_add(1, Ordering::Relaxed) + 1;
            (pass == self.first || self.repeats && pass > self.first).then_some(pass)
        }
    }

    impl FromStr for Clause {
        type Err = Mistake;

        fn from_str(text: &str) -> Result<Self, Mistake> {
            let wrong = || Mistake::Clause(text.to_owned());
            let (point, then) = text.split_once('=').ok_or_else(wrong)?;
            let (action, when) = then.split_once('@').unwrap_or((then, "1"));
            let (first, repeats) = when.strip_suffix('+').map_or((when, false), |first| (first, true));
            let first = first.trim().parse().ok().filter(|first| *first > 0).ok_or_else(wrong)?;
            let point = point.trim().to_owned();
            if !POINTS.contains(&point.as_str()) {
                return Err(Mistake::Point(point));
            }
            Ok(Self { point, action: action.trim().parse()?, first, repeats, passes: AtomicU64::new(0) })
        }
    }

    #[derive(Debug)]
    struct Armed(Vec<Clause>);

    impl Armed {
        fn parse(text: &str) -> Result<Self, Mistake> {
            let clauses = text.split(';').map(str::trim).filter(|clause| !clause.is_empty());
            clauses.map(str::parse).collect::<Result<_, _>>().map(Self)
        }

        /// Counts a pass of the point, and says what fires, in the order of the clauses.
        fn pass(&self, point: &str) -> impl Iterator<Item = (Action, u64)> {
            let clauses = self.0.iter().filter(move |clause| clause.point == point);
            clauses.filter_map(|clause| clause.pass().map(|pass| (clause.action, pass)))
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn fired(armed: &Armed, point: &str, passes: usize) -> Vec<(Action, u64)> {
            (0..passes).flat_map(|_| armed.pass(point).collect::<Vec<_>>()).collect()
        }

        #[test]
        fn a_clause_fires_at_its_pass_and_only_there_unless_it_repeats() {
            let text = " sink.after_put = kill@3 ;lake.after_commit=delay(20ms)@2+; loader.after_copy=stop;";
            let armed = Armed::parse(text).unwrap();
            assert_eq!(fired(&armed, "sink.after_put", 5), [(Action::Kill, 3)]);
            let delay = Action::Delay(Duration::from_millis(20));
            assert_eq!(fired(&armed, "lake.after_commit", 4), [(delay, 2), (delay, 3), (delay, 4)]);
            assert_eq!(fired(&armed, "loader.after_copy", 2), [(Action::Stop, 1)]);
            assert_eq!(fired(&armed, "alert.after_store", 2), []);
        }

        #[test]
        fn clauses_of_one_point_count_each_for_itself() {
            let armed = Armed::parse("sink.after_put=delay(1s)@1+;sink.after_put=panic@2").unwrap();
            let delay = Action::Delay(Duration::from_secs(1));
            assert_eq!(fired(&armed, "sink.after_put", 2), [(delay, 1), (delay, 2), (Action::Panic, 2)]);
        }

        #[test]
        fn a_mistake_is_named() {
            let mistake = |text: &str| Armed::parse(text).unwrap_err().to_string();
            assert!(mistake("sink.after_putt=kill").contains("\"sink.after_putt\" is no fail point"));
            assert!(mistake("sink.after_put=die").contains("\"die\" is none of"));
            assert!(mistake("sink.after_put=delay(soon)").contains("delay(soon)"));
            for text in ["sink.after_put", "sink.after_put=kill@0", "sink.after_put=kill@x", "sink.after_put=kill@"] {
                assert_eq!(Armed::parse(text).unwrap_err(), Mistake::Clause(text.to_owned()));
            }
            assert!(Armed::parse("").unwrap().0.is_empty());
        }
    }
}
