//! A walk over a datum that reads nothing out of it: is it exactly one well-formed value of the writer's schema?
//!
//! Why a walk before the decoder: the Arrow decoder works on columns. When a message breaks off in the middle, columns
//! are left uneven and every neighbour in the batch is lost with it; invalid UTF-8 and wrong enum indexes even come out
//! only when the batch is finished. After this walk the decoder meets clean messages only.
//!
//! Work and memory are bounded by the datum's length: a count may not exceed the bytes that its items need at least, and
//! items that need none are counted as one byte each.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, Name, UuidSchema};

use super::Poison;

/// Nodes of a program at most; named types are written out where they are used, and that can grow without bound.
const MOST_NODES: usize = 100_000;

/// What to walk over.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// So many bytes of any content.
    Skip(usize),
    Boolean,
    Int,
    Long,
    Bytes,
    Text,
    /// An index below this.
    Enum(i64),
    Array(Box<Item>),
    Map(Box<Item>),
    Union(Box<[Node]>),
    Sequence(Box<[Node]>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    node: Node,
    least_bytes: usize,
}

/// The walk for one writer's schema.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    root: Node,
}

/// A schema that cannot be walked: recursive, dangling, or grown too large.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unsupported(String);

impl Program {
    pub(crate) fn compile(schema: &Schema) -> Result<Self, Unsupported> {
        let mut compiler = Compiler { named: HashMap::new(), open: Vec::new(), nodes: 0 };
        Ok(Self { root: compiler.node(schema)? })
    }

    /// Walks over a datum to its very end.
    pub(crate) fn check(&self, datum: &[u8]) -> Result<(), Poison> {
        let mut walk = Walk { datum, at: 0, fault: None };
        match walk.node(&self.root) {
            Some(()) if walk.at == datum.len() => Ok(()),
            Some(()) => Err(Poison::TrailingBytes(walk.remaining())),
            None => Err(walk.fault.unwrap_or(Poison::Truncated(walk.at))),
        }
    }
}

struct Compiler<'s> {
    /// Named types seen so far.
    named: HashMap<Name, &'s Schema>,
    /// Records that are being compiled, to find recursion.
    open: Vec<Name>,
    nodes: usize,
}

impl<'s> Compiler<'s> {
    fn node(&mut self, schema: &'s Schema) -> Result<Node, Unsupported> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(Unsupported("schema is too large".to_owned()));
        }
        Ok(match schema {
            Schema::Null => Node::Skip(0),
            Schema::Boolean => Node::Boolean,
            Schema::Int | Schema::Date | Schema::TimeMillis => Node::Int,
            Schema::Long
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Node::Long,
            Schema::Float => Node::Skip(4),
            Schema::Double => Node::Skip(8),
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => Node::Bytes,
            Schema::String | Schema::Uuid(UuidSchema::String) => Node::Text,
            Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
                self.named.insert(fixed.name.clone(), schema);
                Node::Skip(fixed.size)
            }
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Bytes => Node::Bytes,
                InnerDecimalSchema::Fixed(fixed) => {
                    self.named.insert(fixed.name.clone(), schema);
                    Node::Skip(fixed.size)
                }
            },
            Schema::Enum(symbols) => {
                self.named.insert(symbols.name.clone(), schema);
                Node::Enum(i64::try_from(symbols.symbols.len()).unwrap_or(i64::MAX))
            }
            Schema::Array(array) => Node::Array(Box::new(self.item(&array.items)?)),
            Schema::Map(map) => Node::Map(Box::new(self.item(&map.types)?)),
            Schema::Union(union) => {
                let branches = union.variants().iter().map(|variant| self.node(variant));
                Node::Union(branches.collect::<Result<_, _>>()?)
            }
            Schema::Record(record) => {
                self.named.insert(record.name.clone(), schema);
                self.open.push(record.name.clone());
                let fields: Result<Vec<_>, _> = record.fields.iter().map(|field| self.node(&field.schema)).collect();
                self.open.pop();
                sequence(fields?)
            }
            Schema::Ref { name } => self.reference(name)?,
        })
    }

    fn item(&mut self, schema: &'s Schema) -> Result<Item, Unsupported> {
        let node = self.node(schema)?;
        Ok(Item { least_bytes: least_bytes(&node).max(1), node })
    }

    fn reference(&mut self, name: &Name) -> Result<Node, Unsupported> {
        if self.open.contains(name) {
            return Err(Unsupported(format!("type {name} contains itself")));
        }
        match self.named.get(name) {
            Some(schema) => self.node(schema),
            None => Err(Unsupported(format!("type {name} is not defined"))),
        }
    }
}

/// Joins nested sequences and neighbouring skips.
fn sequence(nodes: Vec<Node>) -> Node {
    let mut flat: Vec<Node> = Vec::with_capacity(nodes.len());
    let mut add = |node: Node| match (flat.last_mut(), node) {
        (Some(Node::Skip(before)), Node::Skip(more)) => *before = before.saturating_add(more),
        (_, node) => flat.push(node),
    };
    for node in nodes {
        match node {
            Node::Sequence(inner) => inner.into_iter().for_each(&mut add),
            other => add(other),
        }
    }
    Node::Sequence(flat.into())
}

fn least_bytes(node: &Node) -> usize {
    match node {
        Node::Skip(bytes) => *bytes,
        Node::Sequence(nodes) => nodes.iter().map(least_bytes).fold(0, usize::saturating_add),
        Node::Union(branches) => branches.iter().map(least_bytes).min().unwrap_or(0).saturating_add(1),
        _ => 1,
    }
}

/// A step gives `None` when the datum is bad, and leaves the reason in `fault`: a result that carried the reason would
/// be several words wide, and steps are a few nanoseconds long.
struct Walk<'d> {
    datum: &'d [u8],
    at: usize,
    fault: Option<Poison>,
}

impl<'d> Walk<'d> {
    /// Leaves are walked in place, which halves the time of a reading; only nodes that hold others cost a call.
    #[inline(always)]
    fn node(&mut self, node: &Node) -> Option<()> {
        match node {
            Node::Skip(bytes) => self.skip(*bytes).map(drop),
            Node::Int => self.int(),
            Node::Long => self.varint().map(drop),
            Node::Text => self.text(),
            Node::Enum(symbols) => self.symbol(*symbols),
            Node::Array(_) | Node::Map(_) if self.datum.get(self.at) == Some(&0) => {
                self.at += 1; // empty, the usual case of flags and failed rules
                Some(())
            }
            other => self.nested(other),
        }
    }

    fn nested(&mut self, node: &Node) -> Option<()> {
        match node {
            Node::Boolean => self.boolean(),
            Node::Bytes => self.bytes().map(drop),
            Node::Array(item) => self.blocks(item, false),
            Node::Map(item) => self.blocks(item, true),
            Node::Union(branches) => self.union(branches),
            Node::Sequence(nodes) => {
                for node in nodes {
                    self.node(node)?;
                }
                Some(())
            }
            leaf => self.node(leaf),
        }
    }

    fn remaining(&self) -> usize {
        self.datum.len() - self.at
    }

    #[cold]
    fn bad<T>(&mut self, fault: Poison) -> Option<T> {
        self.fault = Some(fault);
        None
    }

    #[inline]
    fn skip(&mut self, bytes: usize) -> Option<&'d [u8]> {
        if bytes > self.remaining() {
            return self.bad(Poison::Truncated(self.at));
        }
        let skipped = &self.datum[self.at..self.at + bytes];
        self.at += bytes;
        Some(skipped)
    }

    fn boolean(&mut self) -> Option<()> {
        let at = self.at;
        match self.skip(1)? {
            [0 | 1] => Some(()),
            _ => self.bad(Poison::BadNumber(at)),
        }
    }

    /// A variable-length integer: seven bits per byte, the lowest first, ten bytes at most.
    #[inline]
    fn varint(&mut self) -> Option<u64> {
        match self.datum.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Some(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Option<u64> {
        let rest = &self.datum[self.at..];
        let (mut value, mut index) = (0_u64, 0);
        while index < rest.len() && index < 10 {
            let byte = rest[index];
            value |= u64::from(byte & 0x7f) << (7 * index);
            index += 1;
            if byte & 0x80 == 0 {
                if index == 10 && byte > 1 {
                    return self.bad(Poison::BadNumber(self.at)); // does not fit 64 bits
                }
                self.at += index;
                return Some(value);
            }
        }
        let fault = if rest.len() < 10 { Poison::Truncated(self.at) } else { Poison::BadNumber(self.at) };
        self.bad(fault)
    }

    #[inline]
    fn long(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    #[inline]
    fn int(&mut self) -> Option<()> {
        let at = self.at;
        let value = self.varint()?;
        if value > u64::from(u32::MAX) || self.at - at > 5 { self.bad(Poison::BadNumber(at)) } else { Some(()) }
    }

    #[inline]
    fn symbol(&mut self, symbols: i64) -> Option<()> {
        let at = self.at;
        let index = self.long()?;
        if index >= 0 && index < symbols && self.at - at <= 5 {
            Some(())
        } else {
            self.bad(Poison::BadEnum { at, index })
        }
    }

    fn union(&mut self, branches: &[Node]) -> Option<()> {
        let at = self.at;
        let branch = self.long()?;
        match usize::try_from(branch).ok().and_then(|branch| branches.get(branch)) {
            Some(node) if self.at - at <= 5 => self.node(node),
            _ => self.bad(Poison::BadUnion { at, branch }),
        }
    }

    #[inline]
    fn bytes(&mut self) -> Option<&'d [u8]> {
        let at = self.at;
        let length = self.long()?;
        match usize::try_from(length) {
            Ok(bytes) if bytes <= self.remaining() => self.skip(bytes),
            // Whether the text was cut or the length is a lie cannot be told; a cut is by far the likelier for a length
            // that a message can have at all.
            Ok(bytes) if bytes <= MOST_MESSAGE_BYTES => self.bad(Poison::Truncated(at)),
            _ => self.bad(Poison::BadLength { at, length }),
        }
    }

    #[inline]
    fn text(&mut self) -> Option<()> {
        let at = self.at;
        let bytes = self.bytes()?;
        // Most texts are short and ASCII, and that test alone is faster.
        if bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() {
            Some(())
        } else {
            self.bad(Poison::InvalidUtf8(at))
        }
    }

    /// Items in blocks, closed by an empty one. A negative count is followed by the block's size in bytes.
    fn blocks(&mut self, item: &Item, with_keys: bool) -> Option<()> {
        let least_bytes = item.least_bytes + usize::from(with_keys);
        loop {
            let at = self.at;
            let count = self.long()?;
            if count == 0 {
                return Some(());
            }
            let end = if count < 0 { Some(self.block_end()?) } else { None };
            let items = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            if items > self.remaining() / least_bytes {
                return self.bad(Poison::BadLength { at, length: count });
            }
            for _ in 0..items {
                if with_keys {
                    self.text()?;
                }
                self.node(&item.node)?;
            }
            if end.is_some_and(|end| end != self.at) {
                return self.bad(Poison::BadLength { at, length: count });
            }
        }
    }

    fn block_end(&mut self) -> Option<usize> {
        let at = self.at;
        let length = self.long()?;
        match usize::try_from(length) {
            Ok(bytes) if bytes <= self.remaining() => Some(self.at + bytes),
            _ => self.bad(Poison::BadLength { at, length }),
        }
    }
}

/// Larger than any message that a broker of ours admits.
const MOST_MESSAGE_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests;
