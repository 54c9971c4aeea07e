//! Our processes: drivers that make the product's decisions (the `core` of each service and crate) meet the world, one
//! request at a time. Between two turns a process may die, or stop for as long as the seed likes.

pub mod attempt;
pub mod ingest;
pub mod loader;
pub mod sink;
pub mod validate;
pub mod worker;

use crate::step::Fate;
use crate::world::{Incarnation, World};

use self::ingest::Ingest;
use self::loader::Loader;
use self::sink::Sink;
use self::validate::Validate;

/// One turn of a process.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Who it is.
    pub me: Incarnation,
    /// Of the request it makes.
    pub fate: Fate,
    /// A choice among what it could do.
    pub n: u8,
}

/// What came of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Something was done.
    Moved,
    /// There was nothing to do.
    Idle,
    /// The process ends by itself, as the design says, and is started again.
    Ended(String),
    /// The process refuses to go on: somebody has to look. It is started again and will refuse again.
    Refused(String),
    /// The process refuses a partition: somebody has to look. It stays up, and goes on with the others.
    PartitionRefused(String),
    /// What the product calls a defect of its own.
    Defect(String),
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `ingest`.
    Ingest,
    /// `validate`.
    Validate,
    /// The route of `parquet-sink` that feeds a table.
    Sink(usize),
    /// `redshift-loader` for a table.
    Loader(usize),
}

/// The state of a process.
#[derive(Debug)]
pub enum Actor {
    /// See [`Role`].
    Ingest(Ingest),
    /// See [`Role`].
    Validate(Box<Validate>),
    /// See [`Role`].
    Sink(Box<Sink>),
    /// See [`Role`].
    Loader(Loader),
}

impl Actor {
    /// A process that has just started.
    pub fn new(role: Role) -> Self {
        match role {
            Role::Ingest => Self::Ingest(Ingest::default()),
            Role::Validate => Self::Validate(Box::default()),
            Role::Sink(table) => Self::Sink(Box::new(Sink::new(table))),
            Role::Loader(table) => Self::Loader(Loader::new(table)),
        }
    }

    /// Goes on to the next point of no return.
    pub fn act(&mut self, world: &mut World, turn: Turn) -> Outcome {
        match self {
            Self::Ingest(ingest) => ingest.act(world, turn),
            Self::Validate(validate) => validate.act(world, turn),
            Self::Sink(sink) => sink.act(world, turn),
            Self::Loader(loader) => loader.act(world, turn),
        }
    }
}
