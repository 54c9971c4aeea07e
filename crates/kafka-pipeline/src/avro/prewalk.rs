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
        let mut walk = Walk { datum, at: 0 };
        walk.node(&self.root)?;
        match walk.remaining() {
            0 => Ok(()),
            rest => Err(Poison::TrailingBytes(rest)),
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

struct Walk<'d> {
    datum: &'d [u8],
    at: usize,
}

impl Walk<'_> {
    fn node(&mut self, node: &Node) -> Result<(), Poison> {
        match node {
            Node::Skip(bytes) => self.skip(*bytes).map(drop),
            Node::Boolean => self.boolean(),
            Node::Int => self.int(),
            Node::Long => self.long().map(drop),
            Node::Bytes => self.bytes().map(drop),
            Node::Text => self.text(),
            Node::Enum(symbols) => self.symbol(*symbols),
            Node::Array(item) => self.blocks(item, false),
            Node::Map(item) => self.blocks(item, true),
            Node::Union(branches) => self.union(branches),
            Node::Sequence(nodes) => nodes.iter().try_for_each(|node| self.node(node)),
        }
    }

    fn remaining(&self) -> usize {
        self.datum.len() - self.at
    }

    fn skip(&mut self, bytes: usize) -> Result<&[u8], Poison> {
        if bytes > self.remaining() {
            return Err(Poison::Truncated(self.at));
        }
        let skipped = &self.datum[self.at..self.at + bytes];
        self.at += bytes;
        Ok(skipped)
    }

    fn boolean(&mut self) -> Result<(), Poison> {
        let at = self.at;
        match self.skip(1)? {
            [0 | 1] => Ok(()),
            _ => Err(Poison::BadNumber(at)),
        }
    }

    /// A variable-length integer: seven bits per byte, the lowest first, ten bytes at most.
    #[inline]
    fn varint(&mut self) -> Result<u64, Poison> {
        let rest = &self.datum[self.at..];
        let mut value = 0_u64;
        for (index, byte) in rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                if index == 9 && *byte > 1 {
                    return Err(Poison::BadNumber(self.at)); // does not fit 64 bits
                }
                self.at += index + 1;
                return Ok(value);
            }
        }
        Err(if rest.len() < 10 { Poison::Truncated(self.at) } else { Poison::BadNumber(self.at) })
    }

    #[inline]
    fn long(&mut self) -> Result<i64, Poison> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn int(&mut self) -> Result<(), Poison> {
        let at = self.at;
        let value = self.varint()?;
        if value > u64::from(u32::MAX) || self.at - at > 5 { Err(Poison::BadNumber(at)) } else { Ok(()) }
    }

    fn symbol(&mut self, symbols: i64) -> Result<(), Poison> {
        let at = self.at;
        let index = self.long()?;
        if (0..symbols).contains(&index) && self.at - at <= 5 { Ok(()) } else { Err(Poison::BadEnum { at, index }) }
    }

    fn union(&mut self, branches: &[Node]) -> Result<(), Poison> {
        let at = self.at;
        let branch = self.long()?;
        match usize::try_from(branch).ok().and_then(|branch| branches.get(branch)) {
            Some(node) if self.at - at <= 5 => self.node(node),
            _ => Err(Poison::BadUnion { at, branch }),
        }
    }

    fn bytes(&mut self) -> Result<&[u8], Poison> {
        let at = self.at;
        let length = self.long()?;
        match usize::try_from(length) {
            Ok(bytes) if bytes <= self.remaining() => self.skip(bytes),
            // Whether the text was cut or the length is a lie cannot be told; a cut is by far the likelier for a length
            // that a message can have at all.
            Ok(bytes) if bytes <= MOST_MESSAGE_BYTES => Err(Poison::Truncated(at)),
            _ => Err(Poison::BadLength { at, length }),
        }
    }

    fn text(&mut self) -> Result<(), Poison> {
        let at = self.at;
        match std::str::from_utf8(self.bytes()?) {
            Ok(_) => Ok(()),
            Err(_) => Err(Poison::InvalidUtf8(at)),
        }
    }

    /// Items in blocks, closed by an empty one. A negative count is followed by the block's size in bytes.
    fn blocks(&mut self, item: &Item, with_keys: bool) -> Result<(), Poison> {
        let least_bytes = item.least_bytes + usize::from(with_keys);
        loop {
            let at = self.at;
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            let end = if count < 0 { Some(self.block_end()?) } else { None };
            let items = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            if items > self.remaining() / least_bytes {
                return Err(Poison::BadLength { at, length: count });
            }
            for _ in 0..items {
                if with_keys {
                    self.text()?;
                }
                self.node(&item.node)?;
            }
            if end.is_some_and(|end| end != self.at) {
                return Err(Poison::BadLength { at, length: count });
            }
        }
    }

    fn block_end(&mut self) -> Result<usize, Poison> {
        let at = self.at;
        let length = self.long()?;
        match usize::try_from(length) {
            Ok(bytes) if bytes <= self.remaining() => Ok(self.at + bytes),
            _ => Err(Poison::BadLength { at, length }),
        }
    }
}

/// Larger than any message that a broker of ours admits.
const MOST_MESSAGE_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests;
