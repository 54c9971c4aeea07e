//! Alert settings.

use std::pin::Pin;

use futures::{Stream, stream};
use meterway_proto::metadata::v1;
use meterway_proto::metadata::v1::alert_settings_service_server::AlertSettingsService;
use tonic::{Request, Response, Status};

use super::Register;
use crate::core::alert::{Exception, Rule, read_kind};
use crate::core::fields::Check;
use crate::core::names;
use crate::core::page::Page;
use crate::core::register::tenant_id;
use crate::edge::StoreError;
use crate::edge::database::Scope;
use crate::edge::store::alerts;

type SettingsStream = Pin<Box<dyn Stream<Item = Result<v1::TenantAlertSettings, Status>> + Send>>;

#[tonic::async_trait]
impl AlertSettingsService for Register {
    type StreamAlertSettingsStream = SettingsStream;

    async fn put_alert_rule(
        &self,
        request: Request<v1::PutAlertRuleRequest>,
    ) -> Result<Response<v1::AlertRule>, Status> {
        self.answer("PutAlertRule", self.put_rule(request.into_inner())).await
    }

    async fn delete_alert_rule(
        &self,
        request: Request<v1::DeleteAlertRuleRequest>,
    ) -> Result<Response<v1::DeleteAlertRuleResponse>, Status> {
        self.answer("DeleteAlertRule", self.delete_rule(request.into_inner())).await
    }

    async fn list_alert_rules(
        &self,
        request: Request<v1::ListAlertRulesRequest>,
    ) -> Result<Response<v1::ListAlertRulesResponse>, Status> {
        self.answer("ListAlertRules", self.list_rules(request.into_inner())).await
    }

    async fn put_alert_exception(
        &self,
        request: Request<v1::PutAlertExceptionRequest>,
    ) -> Result<Response<v1::AlertException>, Status> {
        self.answer("PutAlertException", self.put_exception(request.into_inner())).await
    }

    async fn delete_alert_exception(
        &self,
        request: Request<v1::DeleteAlertExceptionRequest>,
    ) -> Result<Response<v1::DeleteAlertExceptionResponse>, Status> {
        self.answer("DeleteAlertException", self.delete_exception(request.into_inner())).await
    }

    async fn list_alert_exceptions(
        &self,
        request: Request<v1::ListAlertExceptionsRequest>,
    ) -> Result<Response<v1::ListAlertExceptionsResponse>, Status> {
        self.answer("ListAlertExceptions", self.list_exceptions(request.into_inner())).await
    }

    async fn stream_alert_settings(
        &self,
        _: Request<v1::StreamAlertSettingsRequest>,
    ) -> Result<Response<SettingsStream>, Status> {
        let settings = self.answer("StreamAlertSettings", self.all_settings()).await?.into_inner();
        Ok(Response::new(Box::pin(stream::iter(settings.into_iter().map(Ok)))))
    }
}

impl Register {
    async fn put_rule(&self, request: v1::PutAlertRuleRequest) -> Result<v1::AlertRule, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let new = Rule::parse(request.rule)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let stored = alerts::put_rule(&tx, &tenant, &new, self.now()).await?;
        tx.commit().await?;
        Ok(stored.into())
    }

    async fn delete_rule(
        &self,
        request: v1::DeleteAlertRuleRequest,
    ) -> Result<v1::DeleteAlertRuleResponse, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let mut check = Check::default();
        let kind = read_kind(&mut check, "kind", request.kind);
        let class = names::rule_class(check.choice("customer_class", request.customer_class));
        check.finish(())?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        alerts::delete_rule(&tx, &tenant, &kind, class).await?;
        tx.commit().await?;
        Ok(v1::DeleteAlertRuleResponse {})
    }

    async fn list_rules(&self, request: v1::ListAlertRulesRequest) -> Result<v1::ListAlertRulesResponse, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let rules = alerts::rules(&tx, &tenant).await?;
        tx.commit().await?;
        Ok(v1::ListAlertRulesResponse { rules: rules.into_iter().map(Into::into).collect() })
    }

    async fn put_exception(&self, request: v1::PutAlertExceptionRequest) -> Result<v1::AlertException, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let new = Exception::parse(request.exception)?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let stored = alerts::put_exception(&tx, &tenant, &new, self.now()).await?;
        tx.commit().await?;
        Ok(stored.into())
    }

    async fn delete_exception(
        &self,
        request: v1::DeleteAlertExceptionRequest,
    ) -> Result<v1::DeleteAlertExceptionResponse, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let mut check = Check::default();
        let kind = read_kind(&mut check, "kind", request.kind);
        check.finish(())?;
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        alerts::delete_exception(&tx, &tenant, &request.device_id, &kind).await?;
        tx.commit().await?;
        Ok(v1::DeleteAlertExceptionResponse {})
    }

    async fn list_exceptions(
        &self,
        request: v1::ListAlertExceptionsRequest,
    ) -> Result<v1::ListAlertExceptionsResponse, StoreError> {
        let tenant = tenant_id(&request.tenant_id)?;
        let page = Page::parse(request.page_size, &request.page_token)?;
        let device = (!request.device_id.is_empty()).then_some(request.device_id.as_str());
        let mut connection = self.database.connection().await?;
        let tx = connection.tenant(&tenant).await?;
        let mut rows = alerts::exceptions(&tx, &tenant, device, &page).await?;
        tx.commit().await?;
        let next_page_token = page.cut(&mut rows, Exception::page_key);
        Ok(v1::ListAlertExceptionsResponse { exceptions: rows.into_iter().map(Into::into).collect(), next_page_token })
    }

    async fn all_settings(&self) -> Result<Vec<v1::TenantAlertSettings>, StoreError> {
        let mut connection = self.database.connection().await?;
        let tx = connection.scope(Scope::Settings).await?;
        let settings = alerts::all(&tx, self.now()).await?;
        tx.commit().await?;
        let message =
            |(tenant_id, (rules, exceptions)): (String, (Vec<Rule>, Vec<Exception>))| v1::TenantAlertSettings {
                tenant_id,
                rules: rules.into_iter().map(Into::into).collect(),
                exceptions: exceptions.into_iter().map(Into::into).collect(),
            };
        Ok(settings.into_iter().map(message).collect())
    }
}
