//! What an `Idempotency-Key` means: which requests are the same, what a record of one says to a retry, and which messages
//! of a request the topics hold already. Pure.

use sha2::{Digest, Sha256};
use std::fmt;

/// Longest key a client may send, in bytes.
const KEY_BYTES: usize = 255;

/// The header that marks a message as part of a request: `<request>/<index>/<messages of the request>`.
pub const TAG_HEADER: &str = "meterway-request";

/// A client's name for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// A key that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Idempotency-Key must be 1 to {KEY_BYTES} visible ASCII characters, in double quotes or without")]
pub struct BadKey;

impl IdempotencyKey {
    /// Reads the header's value: a string of RFC 8941 (in double quotes, `\` before `"` and `\`), or the bare characters
    /// that many clients send. Both ways of writing a key name the same one.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn parse(value: &str) -> Result<Self, BadKey> {
        let value = value.trim();
        let key = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted.strip_suffix('"').ok_or(BadKey)?)?,
            None => value.to_owned(),
        };
        let fits = (1..=KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(key)) } else { Err(BadKey) }
    }

    /// The record's name in the table. Another tenant, or another API key of the tenant, never meets it.
    pub fn record_id(&self, tenant_id: &str, api_key_id: &str) -> String {
        digest(&[tenant_id.as_bytes(), api_key_id.as_bytes(), self.0.as_bytes()]).to_string()
    }
}

fn unquote(quoted: &str) -> Result<String, BadKey> {
    let mut key = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => key.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\')).ok_or(BadKey)?),
            '"' => return Err(BadKey),
            other => key.push(other),
        }
    }
    Ok(key)
}

/// What a request says, as a SHA-256: requests with the same fingerprint are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Of a request. The body is taken after decompression, so a retry may be compressed in another way.
    pub fn of(route: &str, format: &str, body: &str) -> Self {
        digest(&[route.as_bytes(), format.as_bytes(), body.as_bytes()])
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Lengths go in front, so that no two lists of parts read alike.
fn digest(parts: &[&[u8]]) -> Fingerprint {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Fingerprint(hash.finalize().into())
}

/// What the table holds of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What the request says.
    pub fingerprint: Fingerprint,
    /// Name of the request in the tags of its messages.
    pub request: String,
    /// When it was first seen, Unix milliseconds: its messages are not older.
    pub claimed_at_ms: i64,
    /// How far it is.
    pub state: State,
}

/// How far a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Somebody works on it, or died over it.
    Claimed {
        /// Process that has claimed it.
        owner: String,
        /// Names this claim among all.
        claim: String,
    },
    /// Stored, and answered with these bytes.
    Answered(Vec<u8>),
}

/// What a record says to a request of the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The same request: answer these bytes, store nothing.
    Replay(Vec<u8>),
    /// Another request under a used key.
    OtherRequest,
    /// The same request, not yet answered, claimed by this owner.
    Open {
        /// Process that has claimed it.
        owner: String,
        /// Its claim.
        claim: String,
    },
}

/// Holds a request against the record of its key.
pub fn judge(record: Record, fingerprint: Fingerprint) -> Verdict {
    match record.state {
        _ if record.fingerprint != fingerprint => Verdict::OtherRequest,
        State::Answered(body) => Verdict::Replay(body),
        State::Claimed { owner, claim } => Verdict::Open { owner, claim },
    }
}

/// Who holds an open request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// This process, which works on it.
    Here,
    /// This process, which has given it up.
    HereNoMore,
    /// Another process, whose lease ends at this Unix time in milliseconds; `None` when it has none.
    Other(Option<i64>),
}

/// How long a lease counts beyond its end, in milliseconds: how far the clocks of two replicas may be apart.
pub const CLOCK_SKEW_MS: i64 = 5_000;

impl Holder {
    /// Seconds after which it is worth asking again; `None` when the request is abandoned and may be taken over.
    pub fn busy_for_s(self, now_ms: i64) -> Option<u64> {
        match self {
            Self::Here => Some(1),
            Self::HereNoMore | Self::Other(None) => None,
            Self::Other(Some(lease_end_ms)) => {
                let left_ms = lease_end_ms.saturating_add(CLOCK_SKEW_MS).saturating_sub(now_ms);
                // A living owner renews its lease and will be done soon; a dead one's is waited for in small steps too.
                (left_ms > 0).then(|| u64::try_from(left_ms / 1000).unwrap_or(0).clamp(1, 5))
            }
        }
    }
}

/// The tag of a message.
pub fn tag(request: &str, index: usize, total: usize) -> String {
    format!("{request}/{index}/{total}")
}

/// Which messages of a request are in the topics, from the tags that are found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    request: String,
    seen: Vec<bool>,
    /// Messages that were cut in another way, by another version of the program: their numbers mean something else.
    cut_otherwise: bool,
}

impl Found {
    /// Nothing yet, of so many messages.
    pub fn new(request: impl Into<String>, total: usize) -> Self {
        Self { request: request.into(), seen: vec![false; total], cut_otherwise: false }
    }

    /// Takes a message's tag into account.
    pub fn observe(&mut self, tag: &[u8]) {
        let Some((index, total)) = std::str::from_utf8(tag).ok().and_then(|tag| self.numbers(tag)) else { return };
        if total != self.seen.len() {
            self.cut_otherwise = true;
        } else if let Some(seen) = self.seen.get_mut(index) {
            *seen = true;
        }
    }

    fn numbers(&self, tag: &str) -> Option<(usize, usize)> {
        let (index, total) = tag.strip_prefix(&*self.request)?.strip_prefix('/')?.split_once('/')?;
        Some((index.parse().ok()?, total.parse().ok()?))
    }

    /// Whether nothing is left to look for.
    pub fn is_complete(&self) -> bool {
        !self.cut_otherwise && self.seen.iter().all(|seen| *seen)
    }

    /// Whether the message of that number has still to be sent. When another version cut the request otherwise, all of
    /// them are: what comes twice then is `validate`'s to drop.
    pub fn is_missing(&self, index: usize) -> bool {
        self.cut_otherwise || !self.seen.get(index).is_some_and(|seen| *seen)
    }
}

#[cfg(test)]
#[path = "once_tests.rs"]
mod tests;
