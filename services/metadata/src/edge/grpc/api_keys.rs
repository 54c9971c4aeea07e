//! API keys.

use meter_model::TenantId;
use meterway_proto::metadata::v1;
use meterway_proto::metadata::v1::api_key_service_server::ApiKeyService;
use tonic::{Request, Response, Status};

use super::Register;
use crate::core::api_key::{self, KeyOwner, KeyRequest, StoredKey};
use crate::core::names;
use crate::core::page::Page;
use crate::core::register::tenant_id;
use crate::edge::StoreError;
use crate::edge::database::{Connection, Scope};
use crate::edge::store::api_keys;

/// A use of a key is noted when the last one that was noted is older than this, in microseconds.
const NOTE_USE_AFTER: i64 = 60_000_000;

#[tonic::async_trait]
impl ApiKeyService for Register {
    async fn create_api_key(
        &self,
        request: Request<v1::CreateApiKeyRequest>,
    ) -> Result<Response<v1::CreateApiKeyResponse>, Status> {
        self.answer("CreateApiKey", self.create_key(request.into_inner())).await
    }

    async fn rotate_api_key(
        &self,
        request: Request<v1::RotateApiKeyRequest>,
    ) -> Result<Response<v1::CreateApiKeyResponse>, Status> {
        self.answer("RotateApiKey", self.rotate_key(request.into_inner())).await
    }

    async fn revoke_api_key(&self, request: Request<v1::RevokeApiKeyRequest>) -> Result<Response<v1::ApiKey>, Status> {
        self.answer("RevokeApiKey", self.revoke_key(request.into_inner())).await
    }

    async fn list_api_keys(
        &self,
        request: Request<v1::ListApiKeysRequest>,
    ) -> Result<Response<v1::ListApiKeysResponse>, Status> {
        self.answer("ListApiKeys", self.list_keys(request.into_inner())).await
    }

    async fn check_api_key(
        &self,
        request: Request<v1::CheckApiKeyRequest>,
    ) -> Result<Response<v1::CheckApiKeyResponse>, Status> {
        self.answer("CheckApiKey", self.check_key(request.into_inner())).await
    }
}

impl Register {
    async fn create_key(&self, request: v1::CreateApiKeyRequest) -> Result<v1::CreateApiKeyResponse, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let wanted = KeyRequest::parse(&request)?;
        let new = api_key::draw(&mut rand::rng());
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let stored = api_keys::create(&tx, &tenant, &wanted, &new, self.now()).await?;
        tx.commit().await?;
        Ok(v1::CreateApiKeyResponse { api_key: Some(stored.into()), secret: new.text })
    }

    async fn rotate_key(&self, request: v1::RotateApiKeyRequest) -> Result<v1::CreateApiKeyResponse, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let overlap_s = api_key::parse_overlap(request.overlap.as_ref())?;
        let new = api_key::draw(&mut rand::rng());
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let stored = api_keys::rotate(&tx, &tenant, &request.key_id, overlap_s, &new, self.now()).await?;
        tx.commit().await?;
        Ok(v1::CreateApiKeyResponse { api_key: Some(stored.into()), secret: new.text })
    }

    async fn revoke_key(&self, request: v1::RevokeApiKeyRequest) -> Result<v1::ApiKey, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let stored = api_keys::revoke(&tx, &tenant, &request.key_id, self.now()).await?;
        tx.commit().await?;
        Ok(stored.into())
    }

    async fn list_keys(&self, request: v1::ListApiKeysRequest) -> Result<v1::ListApiKeysResponse, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let page = Page::parse(request.page_size, &request.page_token)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let mut rows = api_keys::list(&tx, &tenant, &page).await?;
        tx.commit().await?;
        let next_page_token = page.cut(&mut rows, |row| row.key_id.clone());
        Ok(v1::ListApiKeysResponse { api_keys: rows.into_iter().map(Into::into).collect(), next_page_token })
    }

    async fn check_key(&self, request: v1::CheckApiKeyRequest) -> Result<v1::CheckApiKeyResponse, StoreError> {
        let Some((key_id, secret)) = api_key::split(&request.secret) else {
            return Ok(self.refused(v1::ApiKeyVerdict::Unknown));
        };
        let mut connection = self.database.connection().await?;
        let tx = connection.scope(Scope::KeyCheck).await?;
        let found = api_keys::find(&tx, key_id).await?;
        tx.commit().await?;
        let now = self.now();
        match (api_key::judge(secret, found.as_ref(), now), found) {
            (v1::ApiKeyVerdict::Valid, Some((key, owner))) => {
                self.note_use(&mut connection, &key, now).await?;
                Ok(self.accepted(&key, owner, now))
            }
            (verdict, _) => Ok(self.refused(verdict)),
        }
    }

    async fn note_use(&self, connection: &mut Connection, key: &StoredKey, now: i64) -> Result<(), StoreError> {
        if key.last_used_at.is_some_and(|last| now - last < NOTE_USE_AFTER) {
            return Ok(());
        }
        let owner = TenantId::parse(&key.tenant_id).map_err(|error| StoreError::Internal(Box::new(error)))?;
        let tx = connection.tenant(&owner).await?;
        api_keys::note_use(&tx, &owner, &key.key_id, now).await?;
        tx.commit().await
    }

    fn accepted(&self, key: &StoredKey, owner: KeyOwner, now: i64) -> v1::CheckApiKeyResponse {
        let ttl_s = i64::try_from(self.key_ttl.as_secs()).unwrap_or(i64::MAX);
        let seconds = api_key::cache_seconds(key, ttl_s, now);
        v1::CheckApiKeyResponse {
            verdict: v1::ApiKeyVerdict::Valid as i32,
            tenant_id: key.tenant_id.clone(),
            key_id: key.key_id.clone(),
            scopes: key.scopes.iter().map(|name| names::scope_of(name) as i32).collect(),
            limits: Some(owner.limits.into()),
            cache_ttl: Some(prost_types::Duration { seconds, nanos: 0 }),
        }
    }

    fn refused(&self, verdict: v1::ApiKeyVerdict) -> v1::CheckApiKeyResponse {
        let seconds = i64::try_from(self.bad_key_ttl.as_secs()).unwrap_or(i64::MAX);
        v1::CheckApiKeyResponse {
            verdict: verdict as i32,
            cache_ttl: Some(prost_types::Duration { seconds, nanos: 0 }),
            ..v1::CheckApiKeyResponse::default()
        }
    }
}
