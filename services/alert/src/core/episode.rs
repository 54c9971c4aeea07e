//! The life of an alert: opened, updated, closed; one open alert per device and kind.
//!
//! A device remembers the newest episode of each kind, closed or not, and with it how far its input had been read when it
//! changed last. After a crash a part of the log is read again with the episodes as they were stored: input that an
//! episode has seen already changes nothing, all other input does what it did the first time. So nothing is raised or
//! ended twice, and a message that is repeated after all has the same id, revision and content.

use meterway_schemas::{Alert, AlertKind, AlertState};

use super::alert_id::alert_id;
use super::rules::Rule;

/// Whom an alert is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Tenant of the device.
    pub tenant_id: &'a str,
    /// The device.
    pub device_id: &'a str,
    /// Customer now; kept by the alert from its opening on.
    pub customer_id: Option<&'a str>,
    /// Site now; kept by the alert from its opening on.
    pub site_id: Option<&'a str>,
}

/// How far the two inputs of a partition have been read: offsets of the newest decision and the newest event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Offset of a decision in the validated topic; -1 for none.
    pub decision: i64,
    /// Offset of an event in the events topic; -1 for none.
    pub event: i64,
}

impl Seen {
    /// Nothing was read.
    pub const NOTHING: Self = Self { decision: -1, event: -1 };
}

/// The input that evidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A decision, or a timer that a decision has set off.
    Decision,
    /// A device event.
    Event,
    /// The device register, which has no position.
    Register,
}

/// Where evidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The input.
    pub input: Input,
    /// How far the inputs have been read, this one included.
    pub seen: Seen,
}

/// Evidence at hand: whose it is and where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Whom it is about.
    pub subject: Subject<'a>,
    /// Where it comes from.
    pub origin: Origin,
}

/// One alert of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// Start of the evidence; with rule and device it makes the alert's id.
    pub window: i64,
    /// Event time at which the condition began.
    pub opened_at: i64,
    /// Event time of the newest evidence.
    pub updated_at: i64,
    /// Event time at which the condition ended; `None` while open.
    pub closed_at: Option<i64>,
    /// Messages made about it.
    pub revision: i32,
    /// How far the inputs had been read when it changed last.
    pub seen: Seen,
    /// Customer when it opened.
    pub customer_id: Option<Box<str>>,
    /// Site when it opened.
    pub site_id: Option<Box<str>>,
}

/// A message about an alert, and the start of its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertChange {
    /// The message.
    pub alert: Alert,
    /// Start of the evidence; see [`Episode::window`].
    pub window: i64,
    /// How far the inputs had been read; see [`Episode::seen`].
    pub seen: Seen,
}

/// What became of a piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing new.
    Known,
    /// It lies before an episode that is already known; no alert was made of it.
    Late,
    /// Tell the world.
    Change(Box<AlertChange>),
}

/// Evidence that a condition began to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Start of the evidence.
    pub window: i64,
    /// Event time at which the condition began.
    pub opened_at: i64,
    /// Event time of the evidence that completed it.
    pub evidence_at: i64,
}

/// The newest episode of each kind of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Episodes(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    kind: AlertKind,
    episode: Episode,
    /// Input up to here is in the stored episode that the entry began with.
    barrier: Seen,
}

impl Entry {
    fn has_seen(&self, context: &Context<'_>) -> bool {
        let Origin { input, seen } = context.origin;
        match input {
            Input::Decision => seen.decision <= self.barrier.decision,
            Input::Event => seen.event <= self.barrier.event,
            Input::Register => false,
        }
    }
}

impl Episodes {
    /// The newest episode of the kind, open or closed.
    pub fn newest(&self, kind: AlertKind) -> Option<&Episode> {
        self.0.iter().find(|entry| entry.kind == kind).map(|entry| &entry.episode)
    }

    /// The open episode of the kind.
    pub fn open_one(&self, kind: AlertKind) -> Option<&Episode> {
        self.newest(kind).filter(|episode| episode.closed_at.is_none())
    }

    /// The kinds with an open alert.
    pub fn open_kinds(&self) -> impl Iterator<Item = AlertKind> + '_ {
        self.0.iter().filter(|entry| entry.episode.closed_at.is_none()).map(|entry| entry.kind)
    }

    /// Takes over a stored episode, unless a newer one is known.
    pub fn restore(&mut self, kind: AlertKind, stored: Episode) {
        let is_newer = |known: &Episode| (known.window, known.revision) >= (stored.window, stored.revision);
        if !self.newest(kind).is_some_and(is_newer) {
            self.0.retain(|entry| entry.kind != kind);
            let barrier = stored.seen;
            self.0.push(Entry { kind, episode: stored, barrier });
        }
    }

    /// The condition holds.
    pub fn open(
        &mut self,
        rule: &Rule,
        context: Context<'_>,
        opening: Opening,
        detail: impl FnOnce() -> String,
    ) -> Outcome {
        if let Some(known) = self.0.iter().find(|entry| entry.kind == rule.kind) {
            let window = known.episode.window;
            if known.has_seen(&context) || known.episode.closed_at.is_none() || window == opening.window {
                return Outcome::Known;
            }
            if opening.window < window {
                return Outcome::Late;
            }
        }
        let episode = Episode {
            window: opening.window,
            opened_at: opening.opened_at,
            updated_at: opening.evidence_at,
            closed_at: None,
            revision: 1,
            seen: context.origin.seen,
            customer_id: context.subject.customer_id.map(Into::into),
            site_id: context.subject.site_id.map(Into::into),
        };
        let change = message(rule, &context.subject, &episode, AlertState::Opened, detail());
        match self.0.iter_mut().find(|entry| entry.kind == rule.kind) {
            Some(entry) => entry.episode = episode,
            None => self.0.push(Entry { kind: rule.kind, episode, barrier: Seen::NOTHING }),
        }
        change
    }

    /// There is news about an open alert.
    pub fn update(&mut self, rule: &Rule, context: Context<'_>, at: i64, detail: impl FnOnce() -> String) -> Outcome {
        match self.affected(rule, &context) {
            Some(episode) if episode.closed_at.is_none() && at > episode.updated_at => {
                episode.updated_at = at;
                episode.revision += 1;
                episode.seen = context.origin.seen;
                message(rule, &context.subject, episode, AlertState::Updated, detail())
            }
            _ => Outcome::Known,
        }
    }

    /// The condition ended at `at`. An end from before the alert's beginning is no end of it.
    pub fn close(&mut self, rule: &Rule, context: Context<'_>, at: i64, detail: impl FnOnce() -> String) -> Outcome {
        match self.affected(rule, &context) {
            Some(episode) if episode.closed_at.is_none() && at >= episode.window => {
                end(rule, context, episode, at, detail())
            }
            _ => Outcome::Known,
        }
    }

    /// Closes as [`Self::close`] does; when the newest episode is closed already, moves its end to an earlier one that
    /// became known later. However events and readings interleave, the end that is kept is the earliest.
    pub fn close_or_refine(
        &mut self,
        rule: &Rule,
        context: Context<'_>,
        at: i64,
        detail: impl FnOnce() -> String,
    ) -> Outcome {
        match self.affected(rule, &context) {
            Some(episode) if at >= episode.window && episode.ends_earlier(at) => {
                end(rule, context, episode, at, detail())
            }
            _ => Outcome::Known,
        }
    }

    /// The newest episode, unless it has seen this input already.
    fn affected(&mut self, rule: &Rule, context: &Context<'_>) -> Option<&mut Episode> {
        let entry = self.0.iter_mut().find(|entry| entry.kind == rule.kind)?;
        (!entry.has_seen(context)).then_some(&mut entry.episode)
    }
}

impl Episode {
    /// When an end at `at` ends it. Late readings can move the beginning of a day before the moment at which the alert was
    /// opened; no alert ends before it began.
    fn end_at(&self, at: i64) -> i64 {
        at.max(self.opened_at)
    }

    /// Whether an end at `at` is news: it is open, or its end so far is later.
    fn ends_earlier(&self, at: i64) -> bool {
        self.closed_at.is_none_or(|closed| self.end_at(at) < closed)
    }
}

fn end(rule: &Rule, context: Context<'_>, episode: &mut Episode, at: i64, detail: String) -> Outcome {
    let at = episode.end_at(at);
    episode.closed_at = Some(at);
    episode.updated_at = at;
    episode.revision += 1;
    episode.seen = context.origin.seen;
    message(rule, &context.subject, episode, AlertState::Closed, detail)
}

fn message(rule: &Rule, subject: &Subject<'_>, episode: &Episode, state: AlertState, detail: String) -> Outcome {
    let alert = Alert {
        tenant_id: subject.tenant_id.to_owned(),
        device_id: subject.device_id.to_owned(),
        customer_id: episode.customer_id.as_deref().map(str::to_owned),
        site_id: episode.site_id.as_deref().map(str::to_owned),
        alert_id: alert_id(rule.kind, subject.tenant_id, subject.device_id, episode.window),
        kind: rule.kind,
        severity: rule.severity,
        state,
        revision: episode.revision,
        opened_at: episode.opened_at,
        updated_at: episode.updated_at,
        closed_at: episode.closed_at,
        detail,
    };
    Outcome::Change(Box::new(AlertChange { alert, window: episode.window, seen: episode.seen }))
}
