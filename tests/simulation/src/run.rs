//! A run: the steps of a seed, then everything is let finish, then the oracle.

use crate::actor::{Actor, Outcome, Role, Turn, attempt};
use crate::bug::Bug;
use crate::chance::Chance;
use crate::oracle;
use crate::plan::Plan;
use crate::step::{Fate, Step};
use crate::world::group::Group;
use crate::world::{Incarnation, Violation, World};

/// Turns that everything may need to finish.
const PATIENCE: usize = 60_000;

/// Rounds without a move after which everything is at rest: what a process can do does not depend on the number of its
/// turn, only what it does first.
const QUIET: usize = 16;

/// A process.
#[derive(Debug)]
struct Process {
    role: Role,
    me: Incarnation,
    frozen: bool,
    /// It refused to go on when everything else was let finish.
    down: bool,
    actor: Actor,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The broken promise, if one was.
    pub violation: Option<Violation>,
    /// The steps up to it.
    pub steps: Vec<Step>,
    /// What happened, line by line, if asked for.
    pub trace: Vec<String>,
    /// A digest of the state at the end.
    pub digest: u64,
    /// What was reached, to see that the runs are worth something.
    pub reached: Reached,
}

/// How much happened in a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reached {
    /// Raw messages.
    pub messages: u64,
    /// Decisions that were not the first about their offset.
    pub re_emissions: u64,
    /// Rows in the lake.
    pub rows: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Processes that died or were ended.
    pub deaths: u64,
    /// Partitions that processes refused, and processes that refused to go on at all.
    pub refusals: u64,
    /// Processes that refused to go on at all.
    pub ended: u64,
}

/// Runs a seed.
pub fn run_seed(seed: u64, bug: Option<Bug>, trace: bool) -> Report {
    let mut chance = Chance::new(seed);
    let plan = Plan::of(&mut chance);
    let mut sim = Simulation::new(seed, &plan, bug, trace);
    let mut steps = Vec::with_capacity(plan.steps);
    for _ in 0..plan.steps {
        let step = Step::draw(&mut chance, &plan);
        steps.push(step);
        sim.take(step);
        if sim.world.violation.is_some() {
            break;
        }
    }
    sim.end(steps)
}

/// Runs a list of steps in the world of a seed.
pub fn run_steps(seed: u64, steps: &[Step], bug: Option<Bug>, trace: bool) -> Report {
    let plan = Plan::of(&mut Chance::new(seed));
    let mut sim = Simulation::new(seed, &plan, bug, trace);
    for (number, step) in steps.iter().enumerate() {
        sim.take(*step);
        if sim.world.violation.is_some() {
            return sim.end(steps[..=number].to_vec());
        }
    }
    sim.end(steps.to_vec())
}

/// Processes and their world.
#[derive(Debug)]
struct Simulation {
    seed: u64,
    world: World,
    plan: Plan,
    processes: Vec<Process>,
    reached: Reached,
}

impl Simulation {
    fn new(seed: u64, plan: &Plan, bug: Option<Bug>, trace: bool) -> Self {
        let mut world = World::new(plan, bug, trace);
        world.note(|| format!("{plan:?}"));
        let mut roles = vec![Role::Ingest; plan.doors];
        roles.extend(vec![Role::Validate; plan.validators]);
        for table in 0..world.tables.len() {
            roles.extend(vec![Role::Sink(table); plan.sinks]);
        }
        for table in 0..world.warehouse.len() {
            roles.extend(vec![Role::Loader(table); plan.loaders]);
        }
        let mut processes = Vec::with_capacity(roles.len());
        for role in roles {
            let me = world.number();
            processes.push(Process { role, me, frozen: false, down: false, actor: Actor::new(role) });
        }
        Self { seed, world, plan: plan.clone(), processes, reached: Reached::default() }
    }

    fn take(&mut self, step: Step) {
        let processes = self.processes.len();
        let groups = self.world.groups.len();
        match step {
            Step::Act { who, fate, n } => self.act_for_a_while(usize::from(who) % processes, fate, n),
            Step::Carry { wire, fate, n } => self.world.carry(usize::from(wire), fate, 1 + usize::from(n % 3)),
            Step::Deliver { n } => self.world.deliver(n),
            Step::Crash { who, n } => {
                let index = usize::from(who) % processes;
                let old = self.processes[index].me;
                self.crash(index, usize::from(n % 4), "killed");
                if n >= 128 {
                    self.end_sessions(old);
                }
            }
            Step::Freeze { who, n } => {
                let index = usize::from(who) % processes;
                self.freeze(index, true);
                if n >= 96 {
                    self.end_sessions(self.processes[index].me);
                }
            }
            Step::Wake { who } => self.freeze(usize::from(who) % processes, false),
            Step::Expire { group, n } => self.expire(usize::from(group) % groups, usize::from(n)),
            Step::Rebalance { group, n } => {
                self.world.groups[usize::from(group) % groups].shift(1 + usize::from(n % 2))
            }
            Step::GiveUpWaiting { group } => self.world.groups[usize::from(group) % groups].give_up_waiting(),
            Step::Late { n, arrives } => self.late(usize::from(n), arrives),
            Step::Compact { table } => self.world.compact(usize::from(table)),
            Step::Register => self.world.registered = true,
            Step::Disaster { partition, n } => {
                if let Some(disaster) = self.plan.disaster {
                    self.world.strike(disaster, usize::from(partition), i64::from(n));
                }
            }
        }
    }

    /// Some turns of one process, as `n` says; the last one has the fate.
    fn act_for_a_while(&mut self, index: usize, fate: Fate, n: u8) {
        let turns = n / 32;
        for turn in 0..turns {
            if !self.act(index, Fate::Fine, n.wrapping_add(turn * 41)) {
                return;
            }
        }
        self.act(index, fate, n);
    }

    /// One turn of a process; whether something was done.
    fn act(&mut self, index: usize, fate: Fate, n: u8) -> bool {
        let Process { role, me, frozen, down, actor } = &mut self.processes[index];
        if *frozen || *down {
            return false;
        }
        let turn = Turn { me: *me, fate, n };
        match actor.act(&mut self.world, turn) {
            Outcome::Idle => return false,
            Outcome::Moved => {}
            Outcome::Ended(why) => self.crash(index, 0, &why),
            Outcome::PartitionRefused(why) => {
                let role = *role;
                self.refused(role, &why);
            }
            Outcome::Refused(why) => {
                let role = *role;
                self.refused(role, &why);
                self.reached.ended += 1;
                self.crash(index, 0, &why);
            }
            Outcome::Defect(why) => {
                let role = *role;
                self.world.violated(|| format!("{role:?} contradicts itself: {why}"));
            }
        }
        true
    }

    /// Somebody refuses something, which only a disaster may make them do.
    fn refused(&mut self, role: Role, why: &str) {
        self.reached.refusals += 1;
        self.world.note(|| format!("{role:?} refuses: {why}"));
        if self.plan.disaster.is_none() {
            self.world.violated(|| format!("{role:?} refuses although nothing was removed: {why}"));
        }
    }

    /// A process dies, with whatever it had in its memory, and starts again as another.
    fn crash(&mut self, index: usize, unsent: usize, why: &str) {
        let process = &mut self.processes[index];
        let (role, old) = (process.role, process.me);
        self.reached.deaths += 1;
        self.world.hang_up(old, unsent);
        self.world.warehouse.iter_mut().for_each(|warehouse| warehouse.roll_back(old));
        self.world.groups.iter_mut().for_each(|group| group.forget(old));
        process.me = self.world.number();
        process.actor = Actor::new(role);
        process.frozen = false;
        let new = process.me;
        self.world.note(|| format!("{role:?} {old} dies: {why}; {new} starts"));
    }

    fn freeze(&mut self, index: usize, frozen: bool) {
        let process = &mut self.processes[index];
        if process.frozen != frozen {
            process.frozen = frozen;
            let (role, me) = (process.role, process.me);
            self.world.note(|| format!("{role:?} {me} {}", if frozen { "freezes" } else { "wakes" }));
        }
    }

    /// Members that do not answer: frozen, or of a process that is dead.
    fn silent(&self, group: usize) -> Vec<Incarnation> {
        let speaks =
            |member: &Incarnation| self.processes.iter().any(|one| one.me == *member && !one.frozen && !one.down);
        self.world.groups[group].members().iter().copied().filter(|member| !speaks(member)).collect()
    }

    /// The sessions of a silent member end.
    fn end_sessions(&mut self, member: Incarnation) {
        let is_member = |group: &&mut Group| group.members().contains(&member);
        self.world.groups.iter_mut().filter(is_member).for_each(|group| group.expire(member));
    }

    fn expire(&mut self, group: usize, n: usize) {
        let silent = self.silent(group);
        if silent.is_empty() {
            return;
        }
        let member = silent[n % silent.len()];
        self.world.note(|| format!("the session of {member} in group {group} ends"));
        self.world.groups[group].expire(member);
    }

    /// A late request arrives, or does not.
    fn late(&mut self, n: usize, arrives: bool) {
        let tables = self.world.tables.len();
        let index = n % (tables + self.world.warehouse.len());
        if index < tables {
            if self.world.tables[index].late.is_empty() {
                return;
            }
            let request = self.world.tables[index].late.remove(0);
            self.world.note(|| format!("table {index}: late commit {} arrives: {arrives}", request.snapshot.id));
            if arrives {
                attempt::commit(&mut self.world, index, request);
            }
            return;
        }
        let warehouse = &mut self.world.warehouse[index - tables];
        let Some(transaction) = warehouse.late.take() else { return };
        let applied = if arrives { warehouse.apply(transaction) } else { Ok(()) };
        self.world.note(|| format!("warehouse {}: late commit ends, done: {arrives}", index - tables));
        if let Err(problem) = applied {
            self.world.violated(|| problem);
        }
    }

    /// Lets everything finish without faults, looks at the result, and reports.
    fn end(mut self, steps: Vec<Step>) -> Report {
        if self.world.violation.is_none() {
            self.settle();
        }
        if self.world.violation.is_none()
            && let Err(problem) = oracle::check(&self.world)
        {
            self.world.violated(|| problem);
        }
        let world = &self.world;
        self.reached.messages = world.raw.iter().map(|log| log.all().len() as u64).sum();
        let decisions: u64 = world.decisions.iter().map(|log| log.all().len() as u64).sum();
        let first: u64 =
            world.first.iter().map(|first| (first.next() as u64).saturating_sub(first.left_out.len() as u64)).sum();
        self.reached.re_emissions = decisions.saturating_sub(first);
        self.reached.rows = world.tables.iter().map(|table| table.rows.len() as u64).sum();
        self.reached.snapshots = world.tables.iter().map(|table| table.history().count() as u64).sum();
        Report {
            seed: self.seed,
            digest: oracle::digest(world),
            violation: self.world.violation,
            steps,
            trace: self.world.trace.unwrap_or_default(),
            reached: self.reached,
        }
    }

    fn settle(&mut self) {
        self.world.note(|| "--- from here on nothing fails".to_owned());
        for process in &mut self.processes {
            process.frozen = false;
        }
        self.world.registered = true;
        let mut quiet = 0;
        for turn in 0..PATIENCE {
            if self.world.violation.is_some() {
                return;
            }
            let mut moved = self.settle_world();
            for index in 0..self.processes.len() {
                let before = self.reached.ended;
                moved |= self.act(index, Fate::Fine, (turn * 7 + index * 3) as u8);
                self.processes[index].down |= self.reached.ended > before;
            }
            quiet = if moved { 0 } else { quiet + 1 };
            if quiet > QUIET {
                return;
            }
        }
        self.world.violated(|| format!("not at rest after {PATIENCE} rounds"));
    }

    fn settle_world(&mut self) -> bool {
        let mut moved = false;
        if !self.world.wires.is_empty() {
            self.world.carry(0, Fate::Fine, 8);
            moved = true;
        }
        for n in 0..self.world.tables.len() + self.world.warehouse.len() {
            self.late(n, true);
        }
        for group in 0..self.world.groups.len() {
            moved |= !self.silent(group).is_empty();
            self.expire(group, 0);
        }
        moved
    }
}
