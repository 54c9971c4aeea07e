//! Tenants; every call crosses tenants and runs in the operator's scope.

use meterway_proto::metadata::v1;
use meterway_proto::metadata::v1::tenant_service_server::TenantService;
use tonic::{Request, Response, Status};

use super::Register;
use crate::core::page::Page;
use crate::core::register::{Tenant, tenant_id};
use crate::edge::StoreError;
use crate::edge::database::Scope;
use crate::edge::store::tenants;

#[tonic::async_trait]
impl TenantService for Register {
    async fn create_tenant(&self, request: Request<v1::CreateTenantRequest>) -> Result<Response<v1::Tenant>, Status> {
        self.answer("CreateTenant", self.create_tenant(request.into_inner())).await
    }

    async fn update_tenant(&self, request: Request<v1::UpdateTenantRequest>) -> Result<Response<v1::Tenant>, Status> {
        self.answer("UpdateTenant", self.update_tenant(request.into_inner())).await
    }

    async fn get_tenant(&self, request: Request<v1::GetTenantRequest>) -> Result<Response<v1::Tenant>, Status> {
        self.answer("GetTenant", self.get_tenant(request.into_inner())).await
    }

    async fn list_tenants(
        &self,
        request: Request<v1::ListTenantsRequest>,
    ) -> Result<Response<v1::ListTenantsResponse>, Status> {
        self.answer("ListTenants", self.list_tenants(request.into_inner())).await
    }
}

impl Register {
    async fn create_tenant(&self, request: v1::CreateTenantRequest) -> Result<v1::Tenant, StoreError> {
        let new = Tenant::parse(request.tenant)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.scope(Scope::Operator).await?;
        let stored = tenants::create(&tx, &new, self.now()).await?;
        tx.commit().await?;
        Ok(stored.into())
    }

    async fn update_tenant(&self, request: v1::UpdateTenantRequest) -> Result<v1::Tenant, StoreError> {
        let new = Tenant::parse(request.tenant)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.scope(Scope::Operator).await?;
        let stored = tenants::update(&tx, &new, request.expected_version, self.now()).await?;
        tx.commit().await?;
        Ok(stored.into())
    }

    async fn get_tenant(&self, request: v1::GetTenantRequest) -> Result<v1::Tenant, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let mut connection = self.database.connection().await?;
        // A tenant may read its own row, so this one needs no scope that crosses tenants.
        let tx = connection.tenant(&tenant).await?;
        let found = tenants::get(&tx, tenant.as_str()).await?;
        tx.commit().await?;
        Ok(found.into())
    }

    async fn list_tenants(&self, request: v1::ListTenantsRequest) -> Result<v1::ListTenantsResponse, StoreError> {
        let page = Page::parse(request.page_size, &request.page_token)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.scope(Scope::Operator).await?;
        let mut rows = tenants::list(&tx, &page).await?;
        tx.commit().await?;
        let next_page_token = page.cut(&mut rows, |row| row.tenant_id.clone());
        Ok(v1::ListTenantsResponse { tenants: rows.into_iter().map(Into::into).collect(), next_page_token })
    }
}
