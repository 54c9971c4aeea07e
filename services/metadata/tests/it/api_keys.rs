//! API keys from creation to revocation.

use meterway_proto::metadata::v1;
use meterway_proto::metadata::v1::ApiKeyVerdict as Verdict;
use meterway_proto::metadata::v1::api_key_service_client::ApiKeyServiceClient;
use meterway_proto::metadata::v1::tenant_service_client::TenantServiceClient;
use tonic::Code;
use tonic::transport::Channel;

use crate::support::World;

type Client = ApiKeyServiceClient<Channel>;

fn create_request(name: &str) -> v1::CreateApiKeyRequest {
    v1::CreateApiKeyRequest {
        tenant_id: "acme".into(),
        name: name.into(),
        scopes: vec![v1::ApiKeyScope::WriteReadings as i32, v1::ApiKeyScope::WriteEvents as i32],
        lifetime: None,
    }
}

async fn create(keys: &mut Client, name: &str) -> (String, String) {
    let created = keys.create_api_key(create_request(name)).await.unwrap().into_inner();
    (created.api_key.unwrap().key_id, created.secret)
}

async fn check(keys: &mut Client, secret: &str) -> v1::CheckApiKeyResponse {
    keys.check_api_key(v1::CheckApiKeyRequest { secret: secret.into() }).await.unwrap().into_inner()
}

async fn rotate(keys: &mut Client, key_id: &str) -> Result<(String, String), tonic::Status> {
    let request = v1::RotateApiKeyRequest { tenant_id: "acme".into(), key_id: key_id.into(), overlap: None };
    let created = keys.rotate_api_key(request).await?.into_inner();
    Ok((created.api_key.unwrap().key_id, created.secret))
}

#[tokio::test]
async fn a_key_tells_tenant_scopes_and_limits_and_its_secret_is_stored_nowhere() {
    let world = World::with_tenants(&["acme"]).await;
    let mut keys = ApiKeyServiceClient::new(world.channel.clone());
    let (key_id, secret) = create(&mut keys, "gateway").await;
    let good = check(&mut keys, &secret).await;
    assert_eq!(
        (good.verdict(), good.tenant_id.as_str(), good.key_id.as_str()),
        (Verdict::Valid, "acme", key_id.as_str())
    );
    assert_eq!(good.scopes.len(), 2);
    assert_eq!(good.limits.unwrap().requests_per_second, 50);
    assert_eq!(good.cache_ttl.unwrap().seconds, 30);

    let last = secret.chars().last().unwrap();
    let forged = format!("{}{}", &secret[..secret.len() - 1], if last == '0' { '1' } else { '0' });
    for wrong in [forged.as_str(), "mw_0000000000000000_0", "", "garbage"] {
        let bad = check(&mut keys, wrong).await;
        assert_eq!((bad.verdict(), bad.tenant_id.as_str(), bad.scopes.len()), (Verdict::Unknown, "", 0), "{wrong}");
    }

    let list = v1::ListApiKeysRequest { tenant_id: "acme".into(), ..v1::ListApiKeysRequest::default() };
    let listed = keys.list_api_keys(list).await.unwrap().into_inner().api_keys;
    assert_eq!((listed.len(), listed[0].key_id.as_str()), (1, key_id.as_str()));
    assert!(listed[0].last_used_at.is_some());
    let stored = "SELECT to_jsonb(k)::text FROM api_key k";
    let stored: String = world.database.as_superuser().await.query_one(stored, &[]).await.unwrap().get(0);
    assert!(!stored.contains(secret.rsplit('_').next().unwrap()), "{stored}");
    world.stop().await;
}

#[tokio::test]
async fn two_keys_of_a_name_are_active_during_a_rotation_and_never_three() {
    let world = World::with_tenants(&["acme"]).await;
    let mut keys = ApiKeyServiceClient::new(world.channel.clone());
    let (old_id, old) = create(&mut keys, "gateway").await;
    assert_eq!(keys.create_api_key(create_request("gateway")).await.unwrap_err().code(), Code::AlreadyExists);
    let (new_id, new) = rotate(&mut keys, &old_id).await.unwrap();
    assert_eq!(check(&mut keys, &old).await.verdict(), Verdict::Valid);
    assert_eq!(check(&mut keys, &new).await.verdict(), Verdict::Valid);
    assert_eq!(rotate(&mut keys, &new_id).await.unwrap_err().code(), Code::FailedPrecondition);

    let revoke = |key_id: &str| v1::RevokeApiKeyRequest { tenant_id: "acme".into(), key_id: key_id.into() };
    let revoked = keys.revoke_api_key(revoke(&old_id)).await.unwrap().into_inner();
    assert_eq!(keys.revoke_api_key(revoke(&old_id)).await.unwrap().into_inner(), revoked, "again changes nothing");
    assert_eq!(check(&mut keys, &old).await.verdict(), Verdict::Ended);
    assert_eq!(rotate(&mut keys, &old_id).await.unwrap_err().code(), Code::FailedPrecondition);
    let (_, newest) = rotate(&mut keys, &new_id).await.unwrap();
    assert_eq!(check(&mut keys, &newest).await.verdict(), Verdict::Valid);
    assert_eq!(keys.revoke_api_key(revoke("0000000000000000")).await.unwrap_err().code(), Code::NotFound);
    world.stop().await;
}

#[tokio::test]
async fn a_suspended_tenants_keys_have_ended() {
    let world = World::with_tenants(&["acme"]).await;
    let mut keys = ApiKeyServiceClient::new(world.channel.clone());
    let (_, secret) = create(&mut keys, "gateway").await;
    let tenant = v1::Tenant {
        tenant_id: "acme".into(),
        name: "Acme".into(),
        status: v1::TenantStatus::Suspended as i32,
        ..v1::Tenant::default()
    };
    let request = v1::UpdateTenantRequest { tenant: Some(tenant), expected_version: 0 };
    TenantServiceClient::new(world.channel.clone()).update_tenant(request).await.unwrap();
    let ended = check(&mut keys, &secret).await;
    assert_eq!((ended.verdict(), ended.tenant_id.as_str()), (Verdict::Ended, ""));
    world.stop().await;
}

#[tokio::test]
async fn of_callers_that_create_a_name_together_one_succeeds() {
    let world = World::with_tenants(&["acme"]).await;
    let keys: Client = ApiKeyServiceClient::new(world.channel.clone());
    let attempts = (0..6).map(|_| {
        let mut keys = keys.clone();
        tokio::spawn(async move { keys.create_api_key(create_request("gateway")).await.map(drop) })
    });
    let mut codes = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        codes.push(attempt.await.unwrap().err().map_or(Code::Ok, |status| status.code()));
    }
    assert_eq!(codes.iter().filter(|code| **code == Code::Ok).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == Code::AlreadyExists).count(), 5, "{codes:?}");
    world.stop().await;
}
