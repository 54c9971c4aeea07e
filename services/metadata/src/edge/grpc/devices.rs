//! Devices, one by one and in bulk.

use std::pin::Pin;

use futures::Stream;
use futures::stream;
use meter_model::TenantId;
use meterway_proto::metadata::v1;
use meterway_proto::metadata::v1::device_service_server::DeviceService;
use tonic::{Request, Response, Status, Streaming};

use super::Register;
use crate::core::bulk;
use crate::core::device::{
    DeviceFilter, DeviceSpec, ExchangeDecision, ExchangeRefusal, decide_exchange, parse_exchanges,
};
use crate::core::fields::Violations;
use crate::core::page::Page;
use crate::core::register::tenant_id;
use crate::edge::StoreError;
use crate::edge::store::{bulk as bulk_store, devices};
use crate::metrics;

type Reports = Pin<Box<dyn Stream<Item = Result<v1::BulkRegisterDevicesResponse, Status>> + Send>>;

#[tonic::async_trait]
impl DeviceService for Register {
    type BulkRegisterDevicesStream = Reports;

    async fn register_device(
        &self,
        request: Request<v1::RegisterDeviceRequest>,
    ) -> Result<Response<v1::Device>, Status> {
        self.answer("RegisterDevice", self.register_device(request.into_inner())).await
    }

    async fn update_device(&self, request: Request<v1::UpdateDeviceRequest>) -> Result<Response<v1::Device>, Status> {
        self.answer("UpdateDevice", self.update_device(request.into_inner())).await
    }

    async fn exchange_meter(&self, request: Request<v1::ExchangeMeterRequest>) -> Result<Response<v1::Device>, Status> {
        self.answer("ExchangeMeter", self.exchange_meter(request.into_inner())).await
    }

    async fn get_device(&self, request: Request<v1::GetDeviceRequest>) -> Result<Response<v1::Device>, Status> {
        self.answer("GetDevice", self.get_device(request.into_inner())).await
    }

    async fn list_devices(
        &self,
        request: Request<v1::ListDevicesRequest>,
    ) -> Result<Response<v1::ListDevicesResponse>, Status> {
        self.answer("ListDevices", self.list_devices(request.into_inner())).await
    }

    async fn bulk_register_devices(
        &self,
        request: Request<Streaming<v1::BulkRegisterDevicesRequest>>,
    ) -> Result<Response<Reports>, Status> {
        // The next chunk is read when the report on the one before was taken, so the stream has no queue to bound.
        let start = (self.clone(), request.into_inner(), None);
        let reports = stream::try_unfold(start, async |(register, mut chunks, mut tenant)| {
            let Some(chunk) = chunks.message().await? else { return Ok(None) };
            let work = register.register_chunk(chunk, &mut tenant);
            let report = register.answer("BulkRegisterDevices", work).await?.into_inner();
            Ok(Some((report, (register, chunks, tenant))))
        });
        Ok(Response::new(Box::pin(reports)))
    }
}

impl Register {
    async fn register_device(&self, request: v1::RegisterDeviceRequest) -> Result<v1::Device, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let new = DeviceSpec::parse(request.device)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let stored = devices::register(&tx, &tenant, &new, self.now()).await?;
        tx.commit().await?;
        self.changes.notify_one();
        Ok(stored.into())
    }

    async fn update_device(&self, request: v1::UpdateDeviceRequest) -> Result<v1::Device, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let new = DeviceSpec::parse(request.device)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let stored = devices::update(&tx, &tenant, &new, request.expected_version, self.now()).await?;
        tx.commit().await?;
        self.changes.notify_one();
        Ok(stored.into())
    }

    async fn exchange_meter(&self, request: v1::ExchangeMeterRequest) -> Result<v1::Device, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let sent = parse_exchanges(&request)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let device = devices::lock(&tx, &tenant, &request.device_id).await?;
        let decision = decide_exchange(&device, sent).map_err(|refusal| match refusal {
            ExchangeRefusal::Invalid(violations) => StoreError::Invalid(violations),
            conflict @ ExchangeRefusal::Conflict { .. } => StoreError::Conflict(conflict.to_string()),
        })?;
        let device = match decision {
            ExchangeDecision::Unchanged => device,
            ExchangeDecision::Add(new) => {
                devices::add_exchanges(&tx, &tenant, &request.device_id, &new, self.now()).await?
            }
        };
        tx.commit().await?;
        self.changes.notify_one();
        Ok(device.into())
    }

    async fn get_device(&self, request: v1::GetDeviceRequest) -> Result<v1::Device, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let found = devices::get(&tx, &tenant, &request.device_id).await?;
        tx.commit().await?;
        Ok(found.into())
    }

    async fn list_devices(&self, request: v1::ListDevicesRequest) -> Result<v1::ListDevicesResponse, StoreError> {
        let (tenant, filter) = DeviceFilter::parse(&request)?;
        let page = Page::parse(request.page_size, &request.page_token)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let mut rows = devices::list(&tx, &tenant, &filter, &page).await?;
        tx.commit().await?;
        let next_page_token = page.cut(&mut rows, |row| row.spec.device_id.clone());
        Ok(v1::ListDevicesResponse { devices: rows.into_iter().map(Into::into).collect(), next_page_token })
    }

    async fn register_chunk(
        &self,
        chunk: v1::BulkRegisterDevicesRequest,
        tenant_of_stream: &mut Option<TenantId>,
    ) -> Result<v1::BulkRegisterDevicesResponse, StoreError> {
        let tenant = tenant_id(&chunk.tenant_id)?;
        if *tenant_of_stream.get_or_insert_with(|| tenant.clone()) != tenant {
            return Err(Violations::one("tenant_id", "is not the one of the chunks before").into());
        }
        let lines = bulk::parse(chunk.lines)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let outcomes = bulk_store::register(&tx, &tenant, &lines, self.now()).await?;
        if !chunk.dry_run {
            tx.commit().await?;
            self.changes.notify_one();
            metrics::onboarded(&outcomes);
        }
        let reports = lines.iter().zip(outcomes).map(|(line, outcome)| bulk::report(line, outcome));
        Ok(v1::BulkRegisterDevicesResponse { reports: reports.collect() })
    }
}
