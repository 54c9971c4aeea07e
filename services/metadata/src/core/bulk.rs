//! Onboarding in bulk: which lines are good, and what they change.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use meterway_proto::metadata::v1;

use super::device::DeviceSpec;
use super::fields::{Check, Violation, Violations};
use super::register::{Customer, Site};

/// Most lines of a chunk. A larger one would hold its locks and its memory for too long.
pub const MAX_LINES: usize = 5_000;

/// A line that satisfies the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodLine {
    /// The device.
    pub device: DeviceSpec,
    /// Its site, if it came along.
    pub site: Option<Site>,
    /// Its customer, if it came along.
    pub customer: Option<Customer>,
}

/// A line and what became of it so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Number in the file.
    pub number: u64,
    /// Device as sent.
    pub device_id: String,
    /// Its content, or what is wrong with it.
    pub content: Result<GoodLine, Violations>,
}

/// What the register holds of the things that the lines name.
#[derive(Debug, Default)]
pub struct Known {
    /// Site → zone, after the new sites were stored.
    pub zones: HashMap<String, String>,
    /// Customers, after the new ones were stored.
    pub customers: BTreeSet<String>,
    /// Devices of the tenant.
    pub devices: HashMap<String, DeviceSpec>,
}

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// New.
    Created,
    /// Changed.
    Updated,
    /// As it was.
    Unchanged,
    /// Not stored.
    Failed(Violations),
}

/// What to store, and the outcome of each line if all of that can be stored.
#[derive(Debug, Default)]
pub struct Plan {
    /// New devices.
    pub create: Vec<DeviceSpec>,
    /// Changed devices.
    pub update: Vec<DeviceSpec>,
    /// One per line.
    pub outcomes: Vec<Outcome>,
}

/// Checks the lines of a chunk by themselves and against each other.
///
/// # Errors
/// When the chunk is too large.
pub fn parse(lines: Vec<v1::BulkLine>) -> Result<Vec<Line>, Violations> {
    if lines.len() > MAX_LINES {
        return Err(Violations::one("lines", format!("there are {}, more than {MAX_LINES}", lines.len())));
    }
    let mut first_of = BTreeMap::new();
    let parsed = lines.into_iter().map(|line| {
        let device_id = line.device.as_ref().map(|d| d.device_id.clone()).unwrap_or_default();
        let number = line.line;
        let mut content = parse_line(line);
        let first = *first_of.entry(device_id.clone()).or_insert(number);
        if content.is_ok() && first != number {
            content = Err(Violations::one("device.device_id", format!("stands in line {first} already")));
        }
        Line { number, device_id, content }
    });
    Ok(parsed.collect())
}

fn parse_line(line: v1::BulkLine) -> Result<GoodLine, Violations> {
    let mut check = Check::default();
    let message = check.required("device", line.device);
    let device = DeviceSpec::read(&mut check, &message);
    let site = line.site.map(|site| Site::read(&mut check, &site));
    let customer = line.customer.map(|customer| Customer::read(&mut check, &customer));
    if site.as_ref().is_some_and(|site| site.site_id != device.site_id) {
        check.note("site.site_id", "is not the device's site");
    }
    if customer.as_ref().is_some_and(|customer| Some(&customer.customer_id) != device.customer_id.as_ref()) {
        check.note("customer.customer_id", "is not the device's customer");
    }
    check.finish(GoodLine { device, site, customer })
}

/// The sites that the good lines bring, each once; the first description wins.
pub fn sites(lines: &[Line]) -> Vec<&Site> {
    let mut seen = BTreeSet::new();
    let sites = lines.iter().filter_map(|line| line.content.as_ref().ok()?.site.as_ref());
    sites.filter(|site| seen.insert(&site.site_id)).collect()
}

/// The customers that the good lines bring, each once.
pub fn customers(lines: &[Line]) -> Vec<&Customer> {
    let mut seen = BTreeSet::new();
    let customers = lines.iter().filter_map(|line| line.content.as_ref().ok()?.customer.as_ref());
    customers.filter(|customer| seen.insert(&customer.customer_id)).collect()
}

/// Decides what to store.
pub fn plan(lines: &[Line], known: &Known) -> Plan {
    let mut plan = Plan::default();
    for line in lines {
        let outcome = match &line.content {
            Err(violations) => Outcome::Failed(violations.clone()),
            Ok(line) => decide(line, known, &mut plan),
        };
        plan.outcomes.push(outcome);
    }
    plan
}

fn decide(line: &GoodLine, known: &Known, plan: &mut Plan) -> Outcome {
    if let Err(violations) = check_references(line, known) {
        return Outcome::Failed(violations);
    }
    match known.devices.get(&line.device.device_id) {
        None => {
            plan.create.push(line.device.clone());
            Outcome::Created
        }
        Some(stored) if *stored == line.device => Outcome::Unchanged,
        Some(_) => {
            plan.update.push(line.device.clone());
            Outcome::Updated
        }
    }
}

fn check_references(line: &GoodLine, known: &Known) -> Result<(), Violations> {
    let mut check = Check::default();
    match (known.zones.get(&line.device.site_id), &line.site) {
        (None, _) => check.note("device.site_id", "there is no such site"),
        (Some(zone), Some(site)) if *zone != site.zone => {
            check.note("site.zone", format!("the site is known with zone {zone}; change the site itself"));
        }
        _ => {}
    }
    if line.device.customer_id.as_ref().is_some_and(|id| !known.customers.contains(id)) {
        check.note("device.customer_id", "there is no such customer");
    }
    check.finish(())
}

impl Plan {
    /// Marks those of the new devices that turned out to be taken by somebody else.
    pub fn refuse_taken(&mut self, lines: &[Line], taken: &BTreeSet<String>) {
        for (line, outcome) in lines.iter().zip(&mut self.outcomes) {
            if *outcome == Outcome::Created && taken.contains(&line.device_id) {
                *outcome = Outcome::Failed(Violations::one("device.device_id", "is taken"));
            }
        }
    }
}

/// The report on a line.
pub fn report(line: &Line, outcome: Outcome) -> v1::LineReport {
    let (code, errors) = match outcome {
        Outcome::Created => (v1::BulkOutcome::Created, Vec::new()),
        Outcome::Updated => (v1::BulkOutcome::Updated, Vec::new()),
        Outcome::Unchanged => (v1::BulkOutcome::Unchanged, Vec::new()),
        Outcome::Failed(violations) => (v1::BulkOutcome::Failed, violations.0),
    };
    let error = |Violation { field, message }| v1::FieldError { field, message };
    v1::LineReport {
        line: line.number,
        device_id: line.device_id.clone(),
        outcome: code as i32,
        errors: errors.into_iter().map(error).collect(),
    }
}

#[cfg(test)]
#[path = "bulk_tests.rs"]
mod tests;
