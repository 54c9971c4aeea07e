//! Sites.

use meterway_proto::metadata::v1;
use meterway_proto::metadata::v1::site_service_server::SiteService;
use tonic::{Request, Response, Status};

use super::Register;
use crate::core::page::Page;
use crate::core::register::{Site, tenant_id};
use crate::edge::StoreError;
use crate::edge::store::sites;

#[tonic::async_trait]
impl SiteService for Register {
    async fn create_site(&self, request: Request<v1::CreateSiteRequest>) -> Result<Response<v1::Site>, Status> {
        self.answer("CreateSite", self.create_site(request.into_inner())).await
    }

    async fn update_site(&self, request: Request<v1::UpdateSiteRequest>) -> Result<Response<v1::Site>, Status> {
        self.answer("UpdateSite", self.update_site(request.into_inner())).await
    }

    async fn get_site(&self, request: Request<v1::GetSiteRequest>) -> Result<Response<v1::Site>, Status> {
        self.answer("GetSite", self.get_site(request.into_inner())).await
    }

    async fn list_sites(
        &self,
        request: Request<v1::ListSitesRequest>,
    ) -> Result<Response<v1::ListSitesResponse>, Status> {
        self.answer("ListSites", self.list_sites(request.into_inner())).await
    }
}

impl Register {
    async fn create_site(&self, request: v1::CreateSiteRequest) -> Result<v1::Site, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let new = Site::parse(request.site)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let stored = sites::create(&tx, &tenant, &new, self.now()).await?;
        tx.commit().await?;
        Ok(stored.into())
    }

    async fn update_site(&self, request: v1::UpdateSiteRequest) -> Result<v1::Site, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let new = Site::parse(request.site)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let stored = sites::update(&tx, &tenant, &new, request.expected_version, self.now()).await?;
        tx.commit().await?;
        // A new zone changes the devices of the site.
        self.changes.notify_one();
        Ok(stored.into())
    }

    async fn get_site(&self, request: v1::GetSiteRequest) -> Result<v1::Site, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let found = sites::get(&tx, &tenant, &request.site_id).await?;
        tx.commit().await?;
        Ok(found.into())
    }

    async fn list_sites(&self, request: v1::ListSitesRequest) -> Result<v1::ListSitesResponse, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let page = Page::parse(request.page_size, &request.page_token)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let mut rows = sites::list(&tx, &tenant, &page).await?;
        tx.commit().await?;
        let next_page_token = page.cut(&mut rows, |row| row.site_id.clone());
        Ok(v1::ListSitesResponse { sites: rows.into_iter().map(Into::into).collect(), next_page_token })
    }
}
