//! The metadata service: its health by gRPC, and whether it takes our token.

use super::finding::Finding;
use crate::metadata::{Metadata, MetadataArgs};
use anyhow::Context;
use meterway_proto::metadata::v1::ListTenantsRequest;
use meterway_proto::metadata::v1::tenant_service_client::TenantServiceClient;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const METADATA: &str = "metadata";

/// Asks for health, and for one tenant.
///
/// # Errors
/// When the service does not answer.
pub(crate) async fn probe(args: &MetadataArgs) -> anyhow::Result<Vec<Finding>> {
    let connection = args.connect().await?;
    let asked = HealthCheckRequest { service: String::new() };
    let health = HealthClient::new(connection.channel.clone()).check(asked).await.context("ask for the health")?;
    let mut findings = vec![judge_health(health.into_inner().status())];
    findings.push(judge_tenants(tenants(connection).await));
    Ok(findings)
}

async fn tenants(Metadata { channel, token }: Metadata) -> Result<usize, Status> {
    let mut client = TenantServiceClient::with_interceptor(channel, token);
    let request = ListTenantsRequest { page_size: 1000, page_token: String::new() };
    Ok(client.list_tenants(request).await?.into_inner().tenants.len())
}

fn judge_health(status: ServingStatus) -> Finding {
    match status {
        ServingStatus::Serving => Finding::ok(METADATA, "health", "serving"),
        other => Finding::fail(METADATA, "health", other.as_str_name()).advise(
            "ingest can't check keys, devices can't be registered; readings of known devices go on",
            "look at its /ready: it names what it waits for, mostly its database",
        ),
    }
}

fn judge_tenants(answer: Result<usize, Status>) -> Finding {
    const CHECK: &str = "token";
    match answer {
        Ok(0) => Finding::warn(METADATA, CHECK, "accepted; there is no tenant yet").advise(
            "every reading is rejected as UNKNOWN_DEVICE",
            "register tenants and devices: meterway onboard FILE",
        ),
        Ok(tenants) => Finding::ok(METADATA, CHECK, format!("accepted; {tenants} tenants")),
        Err(status) if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) => {
            Finding::fail(METADATA, CHECK, format!("refused: {}", status.message())).advise(
                "this program can't onboard, and neither can services with the same token",
                "set METADATA_TOKEN to the service's grpc.token",
            )
        }
        Err(status) => Finding::fail(METADATA, CHECK, format!("{:?}: {}", status.code(), status.message()))
            .advise("the service runs but can't answer", "look at its log; mostly its database is away"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn answers_have_their_verdicts() {
        assert_eq!(judge_health(ServingStatus::Serving).verdict, Verdict::Ok);
        assert_eq!(judge_health(ServingStatus::NotServing).verdict, Verdict::Fail);
        assert_eq!(judge_tenants(Ok(2)).verdict, Verdict::Ok);
        assert_eq!(judge_tenants(Ok(0)).verdict, Verdict::Warn);
        let refused = judge_tenants(Err(Status::unauthenticated("no token")));
        assert_eq!((refused.verdict, &*refused.found), (Verdict::Fail, "refused: no token"));
        assert_eq!(judge_tenants(Err(Status::unavailable("no database"))).verdict, Verdict::Fail);
    }
}
