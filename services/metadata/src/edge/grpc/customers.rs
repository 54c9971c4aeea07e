//! Customers.

use meterway_proto::metadata::v1;
use meterway_proto::metadata::v1::customer_service_server::CustomerService;
use tonic::{Request, Response, Status};

use super::Register;
use crate::core::page::Page;
use crate::core::register::{Customer, tenant_id};
use crate::edge::StoreError;
use crate::edge::store::customers;

#[tonic::async_trait]
impl CustomerService for Register {
    async fn create_customer(
        &self,
        request: Request<v1::CreateCustomerRequest>,
    ) -> Result<Response<v1::Customer>, Status> {
        self.answer("CreateCustomer", self.create_customer(request.into_inner())).await
    }

    async fn update_customer(
        &self,
        request: Request<v1::UpdateCustomerRequest>,
    ) -> Result<Response<v1::Customer>, Status> {
        self.answer("UpdateCustomer", self.update_customer(request.into_inner())).await
    }

    async fn get_customer(&self, request: Request<v1::GetCustomerRequest>) -> Result<Response<v1::Customer>, Status> {
        self.answer("GetCustomer", self.get_customer(request.into_inner())).await
    }

    async fn list_customers(
        &self,
        request: Request<v1::ListCustomersRequest>,
    ) -> Result<Response<v1::ListCustomersResponse>, Status> {
        self.answer("ListCustomers", self.list_customers(request.into_inner())).await
    }
}

impl Register {
    async fn create_customer(&self, request: v1::CreateCustomerRequest) -> Result<v1::Customer, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let new = Customer::parse(request.customer)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let stored = customers::create(&tx, &tenant, &new, self.now()).await?;
        tx.commit().await?;
        Ok(stored.into())
    }

    async fn update_customer(&self, request: v1::UpdateCustomerRequest) -> Result<v1::Customer, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let new = Customer::parse(request.customer)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let stored = customers::update(&tx, &tenant, &new, request.expected_version, self.now()).await?;
        tx.commit().await?;
        Ok(stored.into())
    }

    async fn get_customer(&self, request: v1::GetCustomerRequest) -> Result<v1::Customer, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let found = customers::get(&tx, &tenant, &request.customer_id).await?;
        tx.commit().await?;
        Ok(found.into())
    }

    async fn list_customers(&self, request: v1::ListCustomersRequest) -> Result<v1::ListCustomersResponse, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let page = Page::parse(request.page_size, &request.page_token)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let mut rows = customers::list(&tx, &tenant, &page).await?;
        tx.commit().await?;
        let next_page_token = page.cut(&mut rows, |row| row.customer_id.clone());
        Ok(v1::ListCustomersResponse { customers: rows.into_iter().map(Into::into).collect(), next_page_token })
    }
}
