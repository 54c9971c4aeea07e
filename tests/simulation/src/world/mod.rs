//! The model of everything that is not ours: broker, groups, catalogue and object store, warehouse, gateways.

pub mod catalogue;
pub mod client;
pub mod group;
pub mod log;
pub mod network;
pub mod warehouse;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use validate::core::devices::DeviceTable;

use self::catalogue::Table;
use self::group::Group;
use self::log::{Decision, FirstDecisions, Holes, Log, RawMessage};
use self::network::{Report, Wire};
use self::warehouse::Warehouse;
use crate::bug::Bug;
use crate::content;
use crate::plan::{Disaster, Plan};

/// A process, or what is left of it: every start has a number of its own.
pub type Incarnation = u32;

/// A row of a table, by where it comes from: partition and offset of the raw message, and the reading in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Partition.
    pub partition: u8,
    /// Offset of the raw message.
    pub offset: i64,
    /// Index of the reading; -1 for the whole message.
    pub index: i32,
}

/// The promise is broken: what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

/// Which decisions a table takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Accepted readings.
    Readings,
    /// Rejections.
    Rejected,
    /// Raw messages.
    Landing,
}

/// See the module documentation.
#[derive(Debug)]
pub struct World {
    /// The planted mistake.
    pub bug: Option<Bug>,
    /// Partitions of every topic.
    pub partitions: usize,
    /// The plan's window of `validate`.
    pub window: u32,
    /// The raw topic.
    pub raw: Vec<Log<RawMessage>>,
    /// The topic of decisions.
    pub decisions: Vec<Log<Decision>>,
    /// The topic's partitions before it was created again.
    pub former_decisions: Option<Vec<Log<Decision>>>,
    /// What the first decisions are, for the oracle.
    pub first: Vec<FirstDecisions>,
    /// Offsets of raw messages whose bytes are in the topic of dead letters.
    pub letters: Vec<BTreeSet<i64>>,
    /// Records under way to the broker.
    pub wires: Vec<Wire>,
    /// Delivery reports that their producers have not seen.
    pub reports: BTreeMap<Incarnation, VecDeque<Report>>,
    /// Producers that have given a record up.
    pub failed: BTreeSet<Incarnation>,
    /// Consumer groups: of `validate`, then of each route.
    pub groups: Vec<Group>,
    /// Tables, one for each route.
    pub tables: Vec<Table>,
    /// The warehouse's copies of `readings` and `rejected`.
    pub warehouse: Vec<Warehouse>,
    /// Deliveries that gateways have no answer to.
    pub posts: VecDeque<RawMessage>,
    /// Deliveries that gateways were told are stored.
    pub acknowledged: BTreeSet<u64>,
    /// Deliveries in the raw topic.
    pub stored: BTreeSet<u64>,
    /// Whether the late device is registered.
    pub registered: bool,
    /// Device tables without and with the late device.
    pub devices: &'static [DeviceTable; 2],
    /// Whether every decision knows all before it, so that no reading may be accepted twice: the window is the whole log,
    /// and the log stays.
    pub one_mind: bool,
    /// Tables whose route was refused, and partitions that `validate` refused or found messages missing in.
    pub refused_tables: BTreeSet<usize>,
    /// See [`Self::refused_tables`].
    pub refused_partitions: BTreeSet<usize>,
    /// What has happened, when somebody wants to read it.
    pub trace: Option<Vec<String>>,
    /// The first broken promise.
    pub violation: Option<Violation>,
    deliveries: u64,
    numbers: u32,
}

impl World {
    /// An empty world.
    pub fn new(plan: &Plan, bug: Option<Bug>, trace: bool) -> Self {
        let routes = if plan.landing { 3 } else { 2 };
        let groups = 1 + routes;
        Self {
            bug,
            partitions: plan.partitions,
            window: plan.window,
            raw: vec![Log::default(); plan.partitions],
            decisions: vec![Log::default(); plan.partitions],
            former_decisions: None,
            first: vec![FirstDecisions::default(); plan.partitions],
            letters: vec![BTreeSet::new(); plan.partitions],
            wires: Vec::new(),
            reports: BTreeMap::new(),
            failed: BTreeSet::new(),
            groups: (0..groups).map(|_| Group::new(plan.partitions)).collect(),
            tables: [Route::Readings, Route::Rejected, Route::Landing][..routes]
                .iter()
                .map(|r| Table::new(*r))
                .collect(),
            warehouse: (0..2).map(|_| Warehouse::default()).collect(),
            posts: VecDeque::new(),
            acknowledged: BTreeSet::new(),
            stored: BTreeSet::new(),
            registered: !plan.late_device,
            devices: content::tables(),
            one_mind: plan.disaster.is_none() && plan.window > 1_000,
            refused_tables: BTreeSet::new(),
            refused_partitions: BTreeSet::new(),
            trace: trace.then(Vec::new),
            violation: None,
            deliveries: 0,
            numbers: 0,
        }
    }

    /// Whether this mistake is planted.
    pub fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// A number that nothing else has.
    pub fn number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }

    /// Writes a line of the trace, if there is one.
    pub fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }

    /// Notes a broken promise; the first one counts.
    pub fn violated(&mut self, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let what = what();
            self.note(|| format!("VIOLATION: {what}"));
            self.violation = Some(Violation(what));
        }
    }

    /// A gateway has something to deliver.
    pub fn deliver(&mut self, n: u16) {
        let id = self.deliveries;
        self.deliveries += 1;
        let message = content::message(id, n);
        self.note(|| format!("gateway has delivery {id} for device {}: {:?}", message.device, message.readings));
        self.posts.push_back(message);
    }

    /// Another engine adds a snapshot to a table.
    pub fn compact(&mut self, table: usize) {
        let id = self.number();
        let table_count = self.tables.len();
        let table = &mut self.tables[table % table_count];
        if table.current().is_some() {
            table.add_foreign(i64::from(id));
            self.note(|| format!("another engine adds snapshot {id}"));
        }
    }

    /// The disaster strikes a partition, unless it would be none.
    pub fn strike(&mut self, disaster: Disaster, partition: usize, n: i64) {
        let partition = partition % self.partitions;
        match disaster {
            // Neither a table that has taken in nothing, nor a `validate` that has decided nothing, can know what it has
            // missed: both begin at the oldest record, by design.
            Disaster::RawExpires if self.first[partition].next() > 0 && self.has_heads(partition, Route::Landing) => {
                let low = self.raw[partition].expire(1 + n % 16);
                self.note(|| format!("retention: raw[{partition}] begins at {low}"));
            }
            Disaster::DecisionsExpire if self.every_table_has_a_head(partition) => {
                let low = self.decisions[partition].expire(1 + n % 16);
                self.note(|| format!("retention: decisions[{partition}] begins at {low}"));
            }
            Disaster::DecisionsRecreated
                if self.former_decisions.is_none() && self.every_table_has_a_head(partition) =>
            {
                let fresh = vec![Log::default(); self.partitions];
                self.former_decisions = Some(std::mem::replace(&mut self.decisions, fresh));
                self.note(|| "the topic of decisions is deleted and created again".to_owned());
            }
            Disaster::RawExpires | Disaster::DecisionsExpire | Disaster::DecisionsRecreated => {}
        }
    }

    fn every_table_has_a_head(&self, partition: usize) -> bool {
        [Route::Readings, Route::Rejected].iter().all(|route| self.has_heads(partition, *route))
    }

    fn has_heads(&self, partition: usize, route: Route) -> bool {
        self.tables.iter().filter(|table| table.route == route).all(|table| table.head(partition).is_some())
    }

    /// How often the topic of decisions was created again.
    pub fn generation(&self) -> usize {
        usize::from(self.former_decisions.is_some())
    }

    /// Kafka's id of the topic of decisions.
    pub fn decisions_id(&self) -> &'static str {
        ["decisions-1", "decisions-2"][self.generation()]
    }

    /// The topic of decisions, as it was before it was created again or as it is.
    pub fn decisions_of(&self, generation: usize) -> &[Log<Decision>] {
        match &self.former_decisions {
            Some(former) if generation == 0 => former,
            _ => &self.decisions,
        }
    }

    /// A record arrives in the raw topic.
    pub fn append_raw(&mut self, partition: usize, message: RawMessage) -> i64 {
        self.stored.insert(message.id);
        let offset = self.raw[partition].append(message);
        self.note(|| format!("raw[{partition}]@{offset} is written"));
        offset
    }

    /// A decision arrives in its topic, and the oracle looks at it.
    pub fn append_decision(&mut self, partition: usize, decision: Decision) -> i64 {
        let holes = if self.former_decisions.is_some() {
            Holes::Excused
        } else if self.refused_partitions.contains(&partition) {
            Holes::Below(self.raw[partition].low())
        } else {
            Holes::Forbidden
        };
        let raw = self.raw[partition].all().get(decision.source_offset as usize);
        let letter = self.letters[partition].contains(&decision.source_offset);
        let at = (&decision, self.decisions[partition].high());
        let found = self.first[partition].observe(at, raw, letter, holes, self.one_mind);
        let source = decision.source_offset;
        let offset = self.decisions[partition].append(decision);
        self.note(|| format!("decisions[{partition}]@{offset} about {source}: {found:?}"));
        if let Err(problem) = found {
            self.violated(|| format!("decisions[{partition}]@{offset} about {source}: {problem}"));
        }
        offset
    }
}
