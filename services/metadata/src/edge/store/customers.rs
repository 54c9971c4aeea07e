//! Customers.

use meter_model::TenantId;
use tokio_postgres::Row;

use super::{expect_version, instant, revision};
use crate::core::page::Page;
use crate::core::register::Customer;
use crate::edge::StoreError;
use crate::edge::database::Tx;

fn customer(row: &Row) -> Customer {
    Customer { customer_id: row.get("customer_id"), name: row.get("name"), revision: revision(row) }
}

pub(crate) async fn create(tx: &Tx<'_>, tenant: &TenantId, new: &Customer, now: i64) -> Result<Customer, StoreError> {
    const SQL: &str =
        "INSERT INTO customer (tenant_id, customer_id, name, updated_at) VALUES ($1, $2, $3, $4) RETURNING *";
    Ok(customer(&tx.row(SQL, &[&tenant.as_str(), &new.customer_id, &new.name, &instant(now)]).await?))
}

pub(crate) async fn update(
    tx: &Tx<'_>,
    tenant: &TenantId,
    new: &Customer,
    expected: i64,
    now: i64,
) -> Result<Customer, StoreError> {
    const LOCK: &str = "SELECT version FROM customer WHERE tenant_id = $1 AND customer_id = $2 FOR UPDATE";
    let current = tx.row_if_any(LOCK, &[&tenant.as_str(), &new.customer_id]).await?;
    expect_version(expected, current.ok_or(StoreError::NotFound("customer"))?.get(0))?;
    const SQL: &str = "UPDATE customer SET name = $3, updated_at = $4, version = version + 1
        WHERE tenant_id = $1 AND customer_id = $2 RETURNING *";
    Ok(customer(&tx.row(SQL, &[&tenant.as_str(), &new.customer_id, &new.name, &instant(now)]).await?))
}

pub(crate) async fn get(tx: &Tx<'_>, tenant: &TenantId, customer_id: &str) -> Result<Customer, StoreError> {
    const SQL: &str = "SELECT * FROM customer WHERE tenant_id = $1 AND customer_id = $2";
    let row = tx.row_if_any(SQL, &[&tenant.as_str(), &customer_id]).await?;
    row.as_ref().map(customer).ok_or(StoreError::NotFound("customer"))
}

pub(crate) async fn list(tx: &Tx<'_>, tenant: &TenantId, page: &Page) -> Result<Vec<Customer>, StoreError> {
    const SQL: &str = "SELECT * FROM customer WHERE tenant_id = $1 AND customer_id > $2 ORDER BY customer_id LIMIT $3";
    Ok(tx.rows(SQL, &[&tenant.as_str(), &page.after, &page.limit()]).await?.iter().map(customer).collect())
}
