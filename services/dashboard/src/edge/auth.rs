//! Verifies tokens against the issuer's public keys.
//!
//! A token is good when its signature fits a key of the issuer, by an asymmetric algorithm that fits the kind of that key,
//! and issuer, audience and times are right. Whoever sends anything else is answered 401, without a reason.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use tokio::sync::{Mutex, RwLock};

use super::problem::Problem;
use crate::config::OidcConfig;
use crate::core::access::{Caller, Claims};
use crate::metrics;

/// Time for one fetch of the keys.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest token that is looked at.
const MOST_TOKEN_BYTES: usize = 16 * 1024;
/// Most keys an issuer may have.
const MOST_KEYS: usize = 100;

/// Checks tokens; knows the issuer's keys.
#[derive(Debug)]
pub struct Auth {
    config: OidcConfig,
    client: reqwest::Client,
    keys: RwLock<Keys>,
    /// Held while keys are fetched, so that one fetch serves all who wait.
    fetching: Mutex<()>,
}

#[derive(Debug, Default)]
struct Keys {
    by_id: HashMap<String, (Algorithm, DecodingKey)>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

impl Auth {
    /// Prepares; keys are fetched when first needed.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(config: &OidcConfig) -> anyhow::Result<Self> {
        service_runtime::install_crypto_provider();
        let client = reqwest::Client::builder().timeout(FETCH_TIMEOUT).build().context("build http client")?;
        Ok(Self { config: config.clone(), client, keys: RwLock::default(), fetching: Mutex::default() })
    }

    /// The caller that the value of an `Authorization` header vouches for.
    ///
    /// # Errors
    /// 401 for whatever is not a good token, 503 while the issuer's keys are not to be had.
    pub async fn caller(&self, header: Option<&str>) -> Result<Caller, Problem> {
        let refused = |reason: &str| {
            metrics::token(if reason == "absent" { "absent" } else { "refused" });
            tracing::debug!(reason, "token refused");
            Problem::unauthenticated()
        };
        let token =
            header.and_then(|text| text.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let token = token.map(|(_, token)| token.trim()).ok_or_else(|| refused("absent"))?;
        if token.len() > MOST_TOKEN_BYTES {
            return Err(refused("too long"));
        }
        let header = decode_header(token).map_err(|error| refused(&error.to_string()))?;
        let key_id = header.kid.ok_or_else(|| refused("no key id"))?;
        let (algorithm, key) = self.key(&key_id).await?.ok_or_else(|| refused("unknown key"))?;
        // The algorithm is the key's, never the token's: a public key must not become the secret of an HMAC.
        if header.alg != algorithm {
            return Err(refused("another algorithm than the key's"));
        }
        let claims =
            decode::<Claims>(token, &key, &self.validation(algorithm)).map_err(|error| refused(&error.to_string()))?;
        let caller = claims.claims.caller().map_err(|bad| refused(&format!("claims: {bad:?}")))?;
        metrics::token("good");
        Ok(caller)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.config.leeway.as_secs();
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        validation
    }

    /// The key of an id. An unknown id may be one that the issuer has just begun to use, so the keys are fetched again, but
    /// not more often than the configuration lets.
    async fn key(&self, id: &str) -> Result<Option<(Algorithm, DecodingKey)>, Problem> {
        let (known, old) = {
            let keys = self.keys.read().await;
            let old = keys.fetched.is_none_or(|at| at.elapsed() > self.config.keys_max_age);
            (keys.by_id.get(id).cloned(), old)
        };
        if known.is_some() && !old {
            return Ok(known);
        }
        self.refetch().await;
        let keys = self.keys.read().await;
        if keys.fetched.is_none() {
            return Err(Problem::unavailable("The identity server"));
        }
        Ok(keys.by_id.get(id).cloned())
    }

    async fn refetch(&self) {
        let _one = self.fetching.lock().await;
        if self.keys.read().await.tried.is_some_and(|at| at.elapsed() < self.config.refetch_wait) {
            return;
        }
        self.keys.write().await.tried = Some(Instant::now());
        match self.fetch().await {
            Ok(by_id) => {
                metrics::key_fetch("fetched");
                let mut keys = self.keys.write().await;
                keys.by_id = by_id;
                keys.fetched = Some(Instant::now());
            }
            Err(error) => {
                // Keys that are known go on being used: an issuer that is away must not sign everybody out.
                metrics::key_fetch("failed");
                tracing::warn!(error = format!("{error:#}"), "keys of the identity server cannot be fetched");
            }
        }
    }

    async fn fetch(&self) -> anyhow::Result<HashMap<String, (Algorithm, DecodingKey)>> {
        let answer = self.client.get(&self.config.jwks_url).send().await.context("ask for the keys")?;
        let set: JwkSet = answer.error_for_status()?.json().await.context("read the keys")?;
        Ok(set.keys.iter().take(MOST_KEYS).filter_map(usable).collect())
    }
}

/// A key for signatures by an algorithm we take.
fn usable(jwk: &Jwk) -> Option<(String, (Algorithm, DecodingKey))> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => Algorithm::ES256,
        _ => return None,
    };
    let stated = jwk.common.key_algorithm.map(|stated| stated.to_string());
    if stated.is_some_and(|stated| stated != format!("{algorithm:?}")) {
        return None;
    }
    if matches!(jwk.common.public_key_use, Some(ref used) if *used != jsonwebtoken::jwk::PublicKeyUse::Signature) {
        return None;
    }
    let id = jwk.common.key_id.clone()?;
    Some((id, (algorithm, DecodingKey::from_jwk(jwk).ok()?)))
}
