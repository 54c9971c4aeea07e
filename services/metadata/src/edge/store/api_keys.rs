//! API keys.

use meter_model::TenantId;
use tokio_postgres::Row;

use super::{instant, micros, micros_if_any, tenants};
use crate::core::api_key::{self, KeyOwner, KeyRequest, NewKey, StoredKey};
use crate::core::page::Page;
use crate::edge::StoreError;
use crate::edge::database::Tx;

fn key(row: &Row) -> Result<StoredKey, StoreError> {
    let hash: Vec<u8> = row.get("secret_hash");
    Ok(StoredKey {
        tenant_id: row.get("tenant_id"),
        key_id: row.get("key_id"),
        name: row.get("name"),
        hash: hash.try_into().map_err(|_| StoreError::Internal("a stored hash has not 32 bytes".into()))?,
        scopes: row.get("scopes"),
        lifetime_s: row.get("lifetime_s"),
        created_at: micros(row, "created_at"),
        expires_at: micros_if_any(row, "expires_at"),
        revoked_at: micros_if_any(row, "revoked_at"),
        last_used_at: micros_if_any(row, "last_used_at"),
    })
}

/// Creates the first active key of a name.
pub(crate) async fn create(
    tx: &Tx<'_>,
    tenant: &TenantId,
    request: &KeyRequest,
    new: &NewKey,
    now: i64,
) -> Result<StoredKey, StoreError> {
    if !lock_active(tx, tenant, &request.name, now).await?.is_empty() {
        return Err(StoreError::Taken("name (it has an active key; rotate that one)"));
    }
    insert(tx, tenant, request, new, now).await
}

/// Creates the successor of a key and lets the key itself end after the overlap.
pub(crate) async fn rotate(
    tx: &Tx<'_>,
    tenant: &TenantId,
    key_id: &str,
    overlap_s: i64,
    new: &NewKey,
    now: i64,
) -> Result<StoredKey, StoreError> {
    let old = get(tx, tenant, key_id).await?;
    let active = lock_active(tx, tenant, &old.name, now).await?;
    if !active.iter().any(|id| id == key_id) {
        return Err(StoreError::Precondition("the key is not active"));
    }
    if active.len() >= api_key::MAX_ACTIVE {
        return Err(StoreError::Precondition("the name has two active keys already; revoke one first"));
    }
    let request = KeyRequest { name: old.name, scopes: old.scopes, lifetime_s: old.lifetime_s };
    let created = insert(tx, tenant, &request, new, now).await?;
    const END: &str = "UPDATE api_key SET expires_at = LEAST(expires_at, $3) WHERE tenant_id = $1 AND key_id = $2";
    let end = now.saturating_add(overlap_s.saturating_mul(1_000_000));
    tx.execute(END, &[&tenant.as_str(), &key_id, &instant(end)]).await?;
    Ok(created)
}

async fn insert(
    tx: &Tx<'_>,
    tenant: &TenantId,
    request: &KeyRequest,
    new: &NewKey,
    now: i64,
) -> Result<StoredKey, StoreError> {
    const SQL: &str =
        "INSERT INTO api_key (tenant_id, key_id, name, secret_hash, scopes, lifetime_s, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *";
    let end = request.lifetime_s.map(|seconds| instant(now.saturating_add(seconds.saturating_mul(1_000_000))));
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &tenant.as_str(),
        &new.key_id,
        &request.name,
        &new.hash.as_slice(),
        &request.scopes,
        &request.lifetime_s,
        &instant(now),
        &end,
    ];
    key(&tx.row(SQL, params).await?)
}

/// Ids of the active keys of a name. Nobody else creates one until the transaction ends: row locks alone would not keep
/// two callers from creating the first key together.
async fn lock_active(tx: &Tx<'_>, tenant: &TenantId, name: &str, now: i64) -> Result<Vec<String>, StoreError> {
    tx.row("SELECT pg_advisory_xact_lock(hashtext($1), hashtext($2))::text", &[&tenant.as_str(), &name]).await?;
    const SQL: &str = "SELECT key_id FROM api_key WHERE tenant_id = $1 AND name = $2 AND revoked_at IS NULL
        AND (expires_at IS NULL OR expires_at > $3)";
    let rows = tx.rows(SQL, &[&tenant.as_str(), &name, &instant(now)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn get(tx: &Tx<'_>, tenant: &TenantId, key_id: &str) -> Result<StoredKey, StoreError> {
    const SQL: &str = "SELECT * FROM api_key WHERE tenant_id = $1 AND key_id = $2 FOR UPDATE";
    let row = tx.row_if_any(SQL, &[&tenant.as_str(), &key_id]).await?;
    key(&row.ok_or(StoreError::NotFound("key"))?)
}

pub(crate) async fn revoke(tx: &Tx<'_>, tenant: &TenantId, key_id: &str, now: i64) -> Result<StoredKey, StoreError> {
    const SQL: &str = "UPDATE api_key SET revoked_at = COALESCE(revoked_at, $3)
        WHERE tenant_id = $1 AND key_id = $2 RETURNING *";
    let row = tx.row_if_any(SQL, &[&tenant.as_str(), &key_id, &instant(now)]).await?;
    key(&row.ok_or(StoreError::NotFound("key"))?)
}

pub(crate) async fn list(tx: &Tx<'_>, tenant: &TenantId, page: &Page) -> Result<Vec<StoredKey>, StoreError> {
    const SQL: &str = "SELECT * FROM api_key WHERE tenant_id = $1 AND key_id > $2 ORDER BY key_id LIMIT $3";
    tx.rows(SQL, &[&tenant.as_str(), &page.after, &page.limit()]).await?.iter().map(key).collect()
}

/// A key and its owner by the key's id, in all tenants. For [`crate::edge::database::Scope::KeyCheck`].
pub(crate) async fn find(tx: &Tx<'_>, key_id: &str) -> Result<Option<(StoredKey, KeyOwner)>, StoreError> {
    const SQL: &str = "SELECT k.*, t.status, t.requests_per_second, t.readings_per_second, t.max_request_bytes
        FROM api_key k JOIN tenant t USING (tenant_id) WHERE k.key_id = $1";
    let Some(row) = tx.row_if_any(SQL, &[&key_id]).await? else { return Ok(None) };
    let owner = KeyOwner { suspended: row.get::<_, &str>("status") == "SUSPENDED", limits: tenants::limits(&row) };
    Ok(Some((key(&row)?, owner)))
}

/// Notes that a key was used, to the minute.
pub(crate) async fn note_use(tx: &Tx<'_>, tenant: &TenantId, key_id: &str, now: i64) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE api_key SET last_used_at = $3::timestamptz WHERE tenant_id = $1 AND key_id = $2
        AND (last_used_at IS NULL OR last_used_at <= $3::timestamptz - interval '1 minute')";
    tx.execute(SQL, &[&tenant.as_str(), &key_id, &instant(now)]).await?;
    Ok(())
}
