//! API keys: their form, their hash, and whether they are good.

use std::fmt::Write;

use meterway_proto::metadata::v1;
use rand::RngCore;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::fields::{Check, Violations};
use super::names;
use super::register::Limits;

/// Longest life of a key: ten years.
const MAX_LIFETIME_S: i64 = 10 * 366 * 86_400;

/// Longest overlap of two keys in a rotation: 90 days.
const MAX_OVERLAP_S: i64 = 90 * 86_400;

/// Overlap when the caller doesn't say: a day.
const DEFAULT_OVERLAP_S: i64 = 86_400;

/// Active keys of a name. Two, so that clients can change over; more would be keys that nobody remembers.
pub const MAX_ACTIVE: usize = 2;

/// SHA-256 of a secret. A fast hash will do: the secret has 256 random bits, so there is nothing to guess.
pub type SecretHash = [u8; 32];

/// A new key: what is stored and what is told once.
pub struct NewKey {
    /// Public part.
    pub key_id: String,
    /// What is stored.
    pub hash: SecretHash,
    /// The whole key, for the caller.
    pub text: String,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// Draws a key: `mw_<16 hex>_<64 hex>`. The generator must be fit for secrets.
pub fn draw(rng: &mut impl RngCore) -> NewKey {
    let (mut id, mut secret) = ([0_u8; 8], [0_u8; 32]);
    rng.fill_bytes(&mut id);
    rng.fill_bytes(&mut secret);
    let (key_id, secret) = (hex::encode(id), hex::encode(secret));
    let mut text = String::with_capacity(84);
    write!(text, "mw_{key_id}_{secret}").expect("writing to a string can't fail");
    NewKey { hash: hash(&secret), key_id, text }
}

/// Hash of the secret part.
pub fn hash(secret: &str) -> SecretHash {
    Sha256::digest(secret.as_bytes()).into()
}

/// Splits a key as a client sent it into id and secret; `None` when it has another form.
pub fn split(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.strip_prefix("mw_")?.split_once('_')?;
    let lower_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (id.len() == 16 && secret.len() == 64 && lower_hex(id) && lower_hex(secret)).then_some((id, secret))
}

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Owner.
    pub tenant_id: String,
    /// Public part.
    pub key_id: String,
    /// Client that uses it.
    pub name: String,
    /// Hash of the secret.
    pub hash: SecretHash,
    /// Names of its scopes.
    pub scopes: Vec<String>,
    /// Life it was created with, in seconds.
    pub lifetime_s: Option<i64>,
    /// Microseconds since 1970, as all instants here.
    pub created_at: i64,
    /// When it ends by itself.
    pub expires_at: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
    /// When it was last checked.
    pub last_used_at: Option<i64>,
}

impl StoredKey {
    /// Whether it is good at the instant, its tenant aside.
    pub fn is_active(&self, now: i64) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// What a check needs besides the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyOwner {
    /// Whether the tenant is suspended.
    pub suspended: bool,
    /// What the tenant may use.
    pub limits: Limits,
}

/// Judges a secret against what is stored under its id. `stored` is `None` when there is no such id; the comparison takes
/// place all the same, so that the time tells nothing.
pub fn judge(secret: &str, stored: Option<&(StoredKey, KeyOwner)>, now: i64) -> v1::ApiKeyVerdict {
    let expected = stored.map_or([0; 32], |(key, _)| key.hash);
    let matches = bool::from(hash(secret).ct_eq(&expected));
    match stored {
        Some((key, owner)) if matches && key.is_active(now) && !owner.suspended => v1::ApiKeyVerdict::Valid,
        Some(_) if matches => v1::ApiKeyVerdict::Ended,
        _ => v1::ApiKeyVerdict::Unknown,
    }
}

/// Seconds for which a verdict on the key may be cached: at most `ttl_s`, and never beyond the key's end.
pub fn cache_seconds(key: &StoredKey, ttl_s: i64, now: i64) -> i64 {
    key.expires_at.map_or(ttl_s, |end| ttl_s.min((end - now).div_euclid(1_000_000))).max(0)
}

/// What a new key shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRequest {
    /// Client that will use it.
    pub name: String,
    /// Names of its scopes, sorted.
    pub scopes: Vec<String>,
    /// Its life, in seconds.
    pub lifetime_s: Option<i64>,
}

impl KeyRequest {
    /// Checks a request.
    ///
    /// # Errors
    /// Every mistake.
    pub fn parse(request: &v1::CreateApiKeyRequest) -> Result<Self, Violations> {
        let mut check = Check::default();
        if request.scopes.is_empty() {
            check.note("scopes", "is empty");
        }
        let mut scopes = Vec::new();
        for (index, number) in request.scopes.iter().enumerate() {
            let field = format!("scopes[{index}]");
            match check.choice(&field, *number) {
                v1::ApiKeyScope::Unspecified => check.note(field, "is not stated"),
                scope => scopes.push(names::scope(scope).to_owned()),
            }
        }
        scopes.sort_unstable();
        scopes.dedup();
        let name = check.text("name", &request.name, 1, 200);
        let lifetime_s = check.seconds("lifetime", request.lifetime.as_ref(), MAX_LIFETIME_S);
        check.finish(Self { name, scopes, lifetime_s })
    }
}

/// Overlap of a rotation in seconds.
///
/// # Errors
/// When it isn't between a second and 90 days.
pub fn parse_overlap(overlap: Option<&prost_types::Duration>) -> Result<i64, Violations> {
    let mut check = Check::default();
    let seconds = check.seconds("overlap", overlap, MAX_OVERLAP_S).unwrap_or(DEFAULT_OVERLAP_S);
    check.finish(seconds)
}

impl From<StoredKey> for v1::ApiKey {
    fn from(key: StoredKey) -> Self {
        let timestamp = super::fields::timestamp;
        Self {
            key_id: key.key_id,
            name: key.name,
            scopes: key.scopes.iter().map(|name| names::scope_of(name) as i32).collect(),
            created_at: Some(timestamp(key.created_at)),
            expires_at: key.expires_at.map(timestamp),
            revoked_at: key.revoked_at.map(timestamp),
            last_used_at: key.last_used_at.map(timestamp),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    fn stored(key: &NewKey) -> (StoredKey, KeyOwner) {
        let stored = StoredKey {
            tenant_id: "acme".into(),
            key_id: key.key_id.clone(),
            name: "gateway".into(),
            hash: key.hash,
            scopes: vec![],
            lifetime_s: None,
            created_at: 0,
            expires_at: Some(100_000_000),
            revoked_at: None,
            last_used_at: None,
        };
        (stored, KeyOwner { suspended: false, limits: Limits::default() })
    }

    fn key() -> NewKey {
        draw(&mut SmallRng::seed_from_u64(7))
    }

    #[test]
    fn a_drawn_key_splits_into_its_parts_and_matches_its_hash() {
        let key = key();
        let (id, secret) = split(&key.text).unwrap();
        assert_eq!((id, hash(secret)), (key.key_id.as_str(), key.hash));
        assert_eq!(secret.len() * 4, 256);
        for wrong in ["", "mw_", "mw_0_0", &key.text[1..], &key.text.to_uppercase(), &format!("{}0", key.text)] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_verdict_does_not_tell_an_unknown_id_from_a_wrong_secret() {
        let key = key();
        let (_, secret) = split(&key.text).unwrap();
        let known = stored(&key);
        assert_eq!(judge(secret, Some(&known), 0), v1::ApiKeyVerdict::Valid);
        assert_eq!(judge("other", Some(&known), 0), v1::ApiKeyVerdict::Unknown);
        assert_eq!(judge(secret, None, 0), v1::ApiKeyVerdict::Unknown);
    }

    #[test]
    fn a_key_ends_by_expiry_revocation_or_its_tenants_suspension() {
        let key = key();
        let (_, secret) = split(&key.text).unwrap();
        let good = stored(&key);
        assert_eq!(judge(secret, Some(&good), 99_999_999), v1::ApiKeyVerdict::Valid);
        assert_eq!(judge(secret, Some(&good), 100_000_000), v1::ApiKeyVerdict::Ended);
        let mut revoked = good.clone();
        revoked.0.revoked_at = Some(1);
        assert_eq!(judge(secret, Some(&revoked), 0), v1::ApiKeyVerdict::Ended);
        let mut suspended = good;
        suspended.1.suspended = true;
        assert_eq!(judge(secret, Some(&suspended), 0), v1::ApiKeyVerdict::Ended);
        assert_eq!(judge("other", Some(&suspended), 0), v1::ApiKeyVerdict::Unknown);
    }

    #[test]
    fn a_cached_verdict_never_outlives_the_key() {
        let (key, _) = stored(&key());
        assert_eq!(cache_seconds(&key, 30, 0), 30);
        assert_eq!(cache_seconds(&key, 30, 95_500_000), 4);
        assert_eq!(cache_seconds(&key, 30, 200_000_000), 0);
    }

    #[test]
    fn a_request_without_name_or_scope_is_refused() {
        let request = v1::CreateApiKeyRequest { scopes: vec![0, 99], ..Default::default() };
        let fields: Vec<_> = KeyRequest::parse(&request).unwrap_err().0.into_iter().map(|v| v.field).collect();
        assert_eq!(fields, ["scopes[0]", "scopes[1]", "scopes[1]", "name"]);
    }
}
