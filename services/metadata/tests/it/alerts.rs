//! Alert settings.

use meterway_proto::metadata::v1;
use meterway_proto::metadata::v1::alert_settings_service_client::AlertSettingsServiceClient;
use tonic::Code;

use crate::support::{World, register};

#[tokio::test]
async fn rules_and_exceptions_are_set_listed_streamed_and_removed() {
    let world = World::with_tenants(&["acme", "rival", "silent"]).await;
    let mut alerts = AlertSettingsServiceClient::new(world.channel.clone());
    let kind = v1::AlertKind::ContinuousFlow as i32;
    for (tenant, threshold) in [("acme", "20"), ("rival", "30")] {
        register(&world.channel, tenant, &format!("{tenant}-meter")).await.unwrap();
        let rule = v1::AlertRule { kind, enabled: true, threshold: threshold.into(), ..v1::AlertRule::default() };
        let request = v1::PutAlertRuleRequest { tenant_id: tenant.into(), rule: Some(rule) };
        alerts.put_alert_rule(request.clone()).await.unwrap();
        alerts.put_alert_rule(request).await.unwrap();
    }
    let exception = |device: &str, until| v1::PutAlertExceptionRequest {
        tenant_id: "acme".into(),
        exception: Some(v1::AlertException {
            device_id: device.into(),
            kind,
            until,
            note: "the pond is filled in May".into(),
            updated_at: None,
        }),
    };
    alerts.put_alert_exception(exception("acme-meter", None)).await.unwrap();
    let foreign = alerts.put_alert_exception(exception("rival-meter", None)).await.unwrap_err();
    assert_eq!((foreign.code(), foreign.message()), (Code::NotFound, "there is no such device"));

    let mut stream = alerts.stream_alert_settings(v1::StreamAlertSettingsRequest {}).await.unwrap().into_inner();
    let mut streamed = Vec::new();
    while let Some(settings) = stream.message().await.unwrap() {
        let threshold = settings.rules[0].threshold.clone();
        streamed.push((settings.tenant_id, settings.rules.len(), threshold, settings.exceptions.len()));
    }
    let expected = [("acme".into(), 1, "20".into(), 1), ("rival".into(), 1, "30".into(), 0)];
    assert_eq!(streamed, expected);

    let past = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    alerts.put_alert_exception(exception("acme-meter", past)).await.unwrap();
    let mut stream = alerts.stream_alert_settings(v1::StreamAlertSettingsRequest {}).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().unwrap().exceptions.is_empty(), "what is over is not streamed");
    let list = v1::ListAlertExceptionsRequest { tenant_id: "acme".into(), ..Default::default() };
    assert_eq!(alerts.list_alert_exceptions(list).await.unwrap().into_inner().exceptions.len(), 1);

    let delete = v1::DeleteAlertRuleRequest { tenant_id: "acme".into(), kind, customer_class: 0 };
    alerts.delete_alert_rule(delete.clone()).await.unwrap();
    assert_eq!(alerts.delete_alert_rule(delete).await.unwrap_err().code(), Code::NotFound);
    let rules = alerts.list_alert_rules(v1::ListAlertRulesRequest { tenant_id: "acme".into() }).await.unwrap();
    assert!(rules.into_inner().rules.is_empty());
    let gone = v1::DeleteAlertExceptionRequest { tenant_id: "acme".into(), device_id: "acme-meter".into(), kind };
    alerts.delete_alert_exception(gone).await.unwrap();
    world.stop().await;
}
