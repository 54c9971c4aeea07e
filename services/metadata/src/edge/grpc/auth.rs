//! Who may call at all. The register trusts its callers to act for the tenants they name, so it must know that they are
//! services of ours: by a shared token, by network policy, or by both.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// Lets calls pass that carry the token; all of them when there is none.
#[derive(Clone)]
pub(super) struct TokenCheck {
    expected: Option<[u8; 32]>,
}

impl std::fmt::Debug for TokenCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenCheck").field("required", &self.expected.is_some()).finish()
    }
}

impl TokenCheck {
    /// Demands the token unless it is empty.
    pub(super) fn new(token: &str) -> Self {
        Self { expected: (!token.is_empty()).then(|| Sha256::digest(token.as_bytes()).into()) }
    }
}

impl Interceptor for TokenCheck {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let Some(expected) = self.expected else { return Ok(request) };
        let header = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        // Hashes have one length, so the comparison takes one time, whatever was sent.
        let sent: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if bool::from(sent.ct_eq(&expected)) { Ok(request) } else { Err(Status::unauthenticated("token is not valid")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(check: &TokenCheck, header: Option<&str>) -> bool {
        let mut request = Request::new(());
        if let Some(header) = header {
            request.metadata_mut().insert("authorization", header.parse().unwrap());
        }
        check.clone().call(request).is_ok()
    }

    #[test]
    fn only_the_token_opens_the_door() {
        let check = TokenCheck::new("s3cret");
        assert!(call(&check, Some("Bearer s3cret")));
        for wrong in [None, Some("Bearer "), Some("Bearer s3cre"), Some("s3cret"), Some("Basic s3cret")] {
            assert!(!call(&check, wrong), "{wrong:?}");
        }
        assert!(call(&TokenCheck::new(""), None));
    }
}
