//! The life of an alert: opened, updated, closed; one open alert per device and kind.
//!
//! A device remembers the newest episode of each kind, closed or not. Evidence from before it, or evidence it already
//! rests on, changes nothing. So reading a part of the log again, with the episodes as they were stored, makes no second
//! alert and no wrong end, and a message that is repeated has the same id and revision.

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
pub struct Episodes(Vec<(AlertKind, Episode)>);

impl Episodes {
    /// The newest episode of the kind, open or closed.
    pub fn newest(&self, kind: AlertKind) -> Option<&Episode> {
        self.0.iter().find(|(of, _)| *of == kind).map(|(_, episode)| episode)
    }

    /// The open episode of the kind.
    pub fn open_one(&self, kind: AlertKind) -> Option<&Episode> {
        self.newest(kind).filter(|episode| episode.closed_at.is_none())
    }

    /// The kinds with an open alert.
    pub fn open_kinds(&self) -> impl Iterator<Item = AlertKind> + '_ {
        self.0.iter().filter(|(_, episode)| episode.closed_at.is_none()).map(|(kind, _)| *kind)
    }

    /// Takes over a stored episode, unless a newer one is known.
    pub fn restore(&mut self, kind: AlertKind, stored: Episode) {
        let is_newer = |known: &Episode| (known.window, known.revision) >= (stored.window, stored.revision);
        if !self.newest(kind).is_some_and(is_newer) {
            self.put(kind, stored);
        }
    }

    /// The condition holds.
    pub fn open(
        &mut self,
        rule: &Rule,
        subject: Subject<'_>,
        opening: Opening,
        detail: impl FnOnce() -> String,
    ) -> Outcome {
        match self.newest(rule.kind) {
            Some(known) if known.closed_at.is_none() || known.window == opening.window => return Outcome::Known,
            Some(known) if opening.window < known.window => return Outcome::Late,
            _ => {}
        }
        let episode = Episode {
            window: opening.window,
            opened_at: opening.opened_at,
            updated_at: opening.evidence_at,
            closed_at: None,
            revision: 1,
            customer_id: subject.customer_id.map(Into::into),
            site_id: subject.site_id.map(Into::into),
        };
        let change = message(rule, subject, &episode, AlertState::Opened, detail());
        self.put(rule.kind, episode);
        change
    }

    /// There is news about an open alert.
    pub fn update(&mut self, rule: &Rule, subject: Subject<'_>, at: i64, detail: impl FnOnce() -> String) -> Outcome {
        match self.open_mut(rule.kind) {
            Some(episode) if at > episode.updated_at => {
                episode.updated_at = at;
                episode.revision += 1;
                message(rule, subject, episode, AlertState::Updated, detail())
            }
            _ => Outcome::Known,
        }
    }

    /// The condition ended at `at`. An end from before the alert's beginning is no end of it.
    pub fn close(&mut self, rule: &Rule, subject: Subject<'_>, at: i64, detail: impl FnOnce() -> String) -> Outcome {
        match self.open_mut(rule.kind) {
            Some(episode) if at >= episode.window => end(rule, subject, episode, at, detail()),
            _ => Outcome::Known,
        }
    }

    /// Closes as [`Self::close`] does; when the newest episode is closed already, moves its end to an earlier one that
    /// became known later. However events and readings interleave, the end that is kept is the earliest.
    pub fn close_or_refine(
        &mut self,
        rule: &Rule,
        subject: Subject<'_>,
        at: i64,
        detail: impl FnOnce() -> String,
    ) -> Outcome {
        let newest = self.0.iter_mut().find(|(of, _)| *of == rule.kind).map(|(_, episode)| episode);
        match newest {
            Some(episode) if at >= episode.window && episode.closed_at.is_none_or(|closed| at < closed) => {
                end(rule, subject, episode, at, detail())
            }
            _ => Outcome::Known,
        }
    }

    fn open_mut(&mut self, kind: AlertKind) -> Option<&mut Episode> {
        let found = self.0.iter_mut().find(|(of, _)| *of == kind).map(|(_, episode)| episode);
        found.filter(|episode| episode.closed_at.is_none())
    }

    fn put(&mut self, kind: AlertKind, episode: Episode) {
        match self.0.iter_mut().find(|(of, _)| *of == kind) {
            Some((_, known)) => *known = episode,
            None => self.0.push((kind, episode)),
        }
    }
}

fn end(rule: &Rule, subject: Subject<'_>, episode: &mut Episode, at: i64, detail: String) -> Outcome {
    episode.closed_at = Some(at);
    episode.updated_at = at;
    episode.revision += 1;
    message(rule, subject, episode, AlertState::Closed, detail)
}

fn message(rule: &Rule, subject: Subject<'_>, episode: &Episode, state: AlertState, detail: String) -> Outcome {
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
    Outcome::Change(Box::new(AlertChange { alert, window: episode.window }))
}
