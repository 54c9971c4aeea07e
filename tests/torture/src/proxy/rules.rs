//! Which request meets which fault. Pure but for the lock around it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// What is done to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpFault {
    /// 503 `SlowDown`; the server sees nothing.
    SlowDown,
    /// 409 `ConditionalRequestConflict`; the server sees nothing.
    Conflict,
    /// The request is held back for so long, then served.
    Delay(Duration),
    /// The server does it, and half of its answer arrives before the connection is closed.
    HalfAnswer,
    /// Half of the request's body, or of its head where it has none, reaches the server; then both connections are reset.
    HalfRequest,
    /// The connection is reset; the server sees nothing.
    Reset,
    /// The server does it and answers; the client sees a reset connection.
    LostAnswer,
}

impl HttpFault {
    /// Its name in [`super::Counts`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SlowDown => "slow_down",
            Self::Conflict => "conflict",
            Self::Delay(_) => "delay",
            Self::HalfAnswer => "half_answer",
            Self::HalfRequest => "half_request",
            Self::Reset => "reset",
            Self::LostAnswer => "lost_answer",
        }
    }
}

/// How many of the requests that match.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Times {
    /// The next so many, then none.
    Next(u64),
    /// This share of them, 0..=1, chosen by the proxy's seed.
    Share(f64),
    /// Every one.
    Always,
}

/// A fault for some requests.
#[derive(Debug, Clone)]
pub struct Rule {
    fault: HttpFault,
    method: Option<String>,
    part: Option<String>,
    skip: u64,
    times: Times,
}

impl Rule {
    /// The fault for every request.
    #[must_use]
    pub fn new(fault: HttpFault) -> Self {
        Self { fault, method: None, part: None, skip: 0, times: Times::Always }
    }

    /// Only for this method.
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        Self { method: Some(method.to_owned()), ..self }
    }

    /// Only where path and query hold this text.
    #[must_use]
    pub fn path_contains(self, part: &str) -> Self {
        Self { part: Some(part.to_owned()), ..self }
    }

    /// Lets the first so many matching requests pass.
    #[must_use]
    pub fn skip(self, requests: u64) -> Self {
        Self { skip: requests, ..self }
    }

    /// For so many of the matching requests.
    #[must_use]
    pub fn times(self, times: Times) -> Self {
        Self { times, ..self }
    }

    fn matches(&self, method: &str, target: &str) -> bool {
        self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.part.as_deref().is_none_or(|part| target.contains(part))
    }

    /// Whether it is this request's turn.
    fn takes(&mut self, random: &mut impl Rng) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        match &mut self.times {
            Times::Always => true,
            Times::Share(share) => random.random_bool(share.clamp(0.0, 1.0)),
            Times::Next(left) if *left > 0 => {
                *left -= 1;
                true
            }
            Times::Next(_) => false,
        }
    }
}

/// Names a rule, to take it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleId(u64);

/// The rules of a proxy, in the order in which they were given: the first whose turn it is decides.
#[derive(Debug)]
pub(super) struct Rules(Mutex<Book>);

#[derive(Debug)]
struct Book {
    random: SmallRng,
    next_id: u64,
    rules: Vec<(RuleId, Rule)>,
}

impl Rules {
    pub(super) fn new(seed: u64) -> Self {
        Self(Mutex::new(Book { random: SmallRng::seed_from_u64(seed), next_id: 0, rules: Vec::new() }))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Book) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn add(&self, rule: Rule) -> RuleId {
        self.with(|book| {
            let id = RuleId(book.next_id);
            book.next_id += 1;
            book.rules.push((id, rule));
            id
        })
    }

    pub(super) fn remove(&self, id: RuleId) {
        self.with(|book| book.rules.retain(|(known, _)| *known != id));
    }

    pub(super) fn clear(&self) {
        self.with(|book| book.rules.clear());
    }

    pub(super) fn fault_for(&self, method: &str, target: &str) -> Option<HttpFault> {
        self.with(|Book { random, rules, .. }| {
            let mut matching = rules.iter_mut().map(|(_, rule)| rule).filter(|rule| rule.matches(method, target));
            matching.find_map(|rule| rule.takes(random).then_some(rule.fault))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT: (&str, &str) = ("PUT", "/lake/data/a.parquet?x-id=PutObject");

    fn faults(rules: &Rules, (method, target): (&str, &str), requests: usize) -> Vec<Option<HttpFault>> {
        (0..requests).map(|_| rules.fault_for(method, target)).collect()
    }

    #[test]
    fn a_rule_concerns_its_method_and_path_for_its_turns() {
        let rules = Rules::new(1);
        let rule = Rule::new(HttpFault::Reset).method("PUT").path_contains("/data/").skip(1).times(Times::Next(2));
        rules.add(rule);
        assert_eq!(rules.fault_for("GET", PUT.1), None);
        assert_eq!(rules.fault_for("PUT", "/lake/metadata/1.json"), None);
        assert_eq!(faults(&rules, PUT, 4), [None, Some(HttpFault::Reset), Some(HttpFault::Reset), None]);
    }

    #[test]
    fn the_first_rule_whose_turn_it_is_decides_until_it_is_taken_back() {
        let rules = Rules::new(1);
        let first = rules.add(Rule::new(HttpFault::SlowDown).times(Times::Next(1)));
        let always = rules.add(Rule::new(HttpFault::Conflict));
        assert_eq!(faults(&rules, PUT, 2), [Some(HttpFault::SlowDown), Some(HttpFault::Conflict)]);
        rules.remove(always);
        assert_eq!(faults(&rules, PUT, 1), [None]);
        assert_ne!(first, always);
    }

    #[test]
    fn a_share_falls_alike_for_the_same_seed_and_about_as_often_as_it_says() {
        let drawn = |seed| {
            let rules = Rules::new(seed);
            rules.add(Rule::new(HttpFault::LostAnswer).times(Times::Share(0.25)));
            faults(&rules, PUT, 2000)
        };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        let hit = drawn(7).iter().flatten().count();
        assert!((400..600).contains(&hit), "{hit}");
    }
}
