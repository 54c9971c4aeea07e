//! An identity server of the test's own: it signs what it is told to, and forges what nobody should believe.

use anyhow::Context;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use dashboard::core::access::Role;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const AUDIENCE: &str = "meterway";
const KEY_ID: &str = "test-key";

/// Somebody, as claims describe them.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) role: Role,
    pub(crate) role_claim: Option<&'static str>,
    pub(crate) tenant: Option<String>,
    pub(crate) customer: Option<String>,
}

impl Person {
    pub(crate) fn of(role: Role, tenant: &str, customer: Option<&str>) -> Self {
        Self {
            role,
            role_claim: Some(role.as_str()),
            tenant: Some(tenant.to_owned()),
            customer: customer.map(str::to_owned),
        }
    }

    pub(crate) fn operator() -> Self {
        Self { role: Role::Operator, role_claim: Some("operator"), tenant: None, customer: None }
    }
}

/// A token that nobody should believe.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Forgery {
    Absent,
    NoToken,
    Unsigned,
    WrongKey,
    HmacWithPublicKey,
    UnknownKey,
    NoKeyId,
    Expired,
    NotYet,
    WrongAudience,
    WrongIssuer,
    NoExpiry,
    SwappedTenant,
}

impl Forgery {
    pub(crate) const ALL: [Self; 13] = [
        Self::Absent,
        Self::NoToken,
        Self::Unsigned,
        Self::WrongKey,
        Self::HmacWithPublicKey,
        Self::UnknownKey,
        Self::NoKeyId,
        Self::Expired,
        Self::NotYet,
        Self::WrongAudience,
        Self::WrongIssuer,
        Self::NoExpiry,
        Self::SwappedTenant,
    ];
}

pub(crate) struct Issuer {
    url: String,
    key: EncodingKey,
    stranger: EncodingKey,
    public: Vec<u8>,
}

fn pair() -> anyhow::Result<(EncodingKey, Vec<u8>)> {
    let document = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).context("make a key")?;
    let pkcs8 = document.to_pkcs8v1().context("write a key")?;
    Ok((EncodingKey::from_ec_der(pkcs8.as_ref()), document.public_key().as_ref().to_vec()))
}

impl Issuer {
    /// Serves its public key on a port of its own.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let (key, public) = pair()?;
        let (stranger, _) = pair()?;
        // An uncompressed point: 4, then both coordinates.
        let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let keys = json!({"keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID,
            "x": coordinate(&public[1..33]), "y": coordinate(&public[33..65]),
        }]})
        .to_string();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{keys}",
                    keys.len()
                );
                let mut request = [0; 4096];
                // A client that goes away asks again.
                let _ = socket.read(&mut request).await;
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        Ok(Self { url, key, stranger, public })
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    fn claims(&self, person: &Person) -> Value {
        let now = Utc::now().timestamp();
        let mut claims = json!({
            "iss": self.url, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 600,
            "sub": format!("{}-{}", person.role.as_str(), person.tenant.as_deref().unwrap_or("all")),
            "name": person.role.as_str(),
        });
        for (name, value) in [
            ("meterway_role", person.role_claim),
            ("meterway_tenant", person.tenant.as_deref()),
            ("meterway_customer", person.customer.as_deref()),
        ] {
            if let Some(value) = value {
                claims[name] = value.into();
            }
        }
        claims
    }

    fn header(algorithm: Algorithm) -> Header {
        Header { kid: Some(KEY_ID.to_owned()), ..Header::new(algorithm) }
    }

    /// A good token.
    pub(crate) fn token(&self, person: &Person) -> String {
        encode(&Self::header(Algorithm::ES256), &self.claims(person), &self.key).expect("sign a token")
    }

    /// A bad one; `None` for none.
    pub(crate) fn forged(&self, person: &Person, forgery: Forgery) -> Option<String> {
        let now = Utc::now().timestamp();
        let mut claims = self.claims(person);
        let (mut header, mut key) = (Self::header(Algorithm::ES256), &self.key);
        let secret = EncodingKey::from_secret(&self.public);
        match forgery {
            Forgery::Absent => return None,
            Forgery::NoToken => return Some("northgrid".to_owned()),
            Forgery::Unsigned => {
                let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
                return Some(format!(
                    "{}.{}.",
                    part(&json!({"alg": "none", "kid": KEY_ID, "typ": "JWT"})),
                    part(&claims)
                ));
            }
            Forgery::SwappedTenant => {
                let good = self.token(person);
                let parts: Vec<&str> = good.split('.').collect();
                claims["meterway_tenant"] = "lakeside".into();
                return Some(format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2]));
            }
            Forgery::WrongKey => key = &self.stranger,
            Forgery::HmacWithPublicKey => (header, key) = (Self::header(Algorithm::HS256), &secret),
            Forgery::UnknownKey => header.kid = Some("another".to_owned()),
            Forgery::NoKeyId => header.kid = None,
            Forgery::Expired => claims["exp"] = (now - 60).into(),
            Forgery::NotYet => claims["nbf"] = (now + 300).into(),
            Forgery::WrongAudience => claims["aud"] = "account".into(),
            Forgery::WrongIssuer => claims["iss"] = "http://127.0.0.1:1".into(),
            Forgery::NoExpiry => {
                claims.as_object_mut().expect("claims are an object").remove("exp");
            }
        }
        Some(encode(&header, &claims, key).expect("sign a forged token"))
    }
}
