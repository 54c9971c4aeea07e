//! `meterway onboard`: registers the tenants, customers, sites and devices of a file. Doing it again changes nothing.

mod convert;

use crate::exit::{BadConfig, Exit};
use crate::fleet_file::{DeviceLine, FileFormat, parse};
use crate::metadata::{Metadata, MetadataArgs, Token};
use crate::out::{Mood, Out};
use anyhow::{Context, bail};
use clap::Args;
use convert::{Prepared, prepare};
use meterway_proto::metadata::v1::device_service_client::DeviceServiceClient;
use meterway_proto::metadata::v1::tenant_service_client::TenantServiceClient;
use meterway_proto::metadata::v1::{self as proto, BulkOutcome};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tonic::Code;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

const HELP: &str = "\
One device per line, with its tenant, customer and site. NDJSON fields:
  tenant_id, tenant_name?, customer_id?, customer_name?, site_id, zone, address?, device_id, gateway_id?,
  status (ACTIVE), commodity, customer_class (RESIDENTIAL),
  channels [{channel, kind, unit, interval_s?, multiplier?, register_digits?, capacity_per_hour?, allow_negative?}],
  exchanges? [{at, channel, closing_value, opening_value}]
CSV has the same names as columns; lists are written into one cell, separated by ';':
  channels   1-0:1.29.0|INTERVAL|kWh|1800|||25;1-0:1.8.0|REGISTER|kWh|||6|25
  exchanges  2026-05-01T12:00:00Z|1-0:1.8.0|18231.5|0

A bad line does not stop the others. Sending a file again changes nothing.

Examples:
  meterway onboard devices.ndjson --dry-run
  meterway onboard devices.csv --json > report.json

Exit codes: 0 every line is stored; 1 lines failed.";

/// Lines per request. More would make one transaction too long, fewer would wait too often.
const CHUNK: usize = 500;

/// Options of `onboard`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct OnboardArgs {
    /// File of devices
    file: PathBuf,
    /// Form of the file; by its name when not given (.csv, anything else is NDJSON)
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    /// Check and say what would happen; store nothing
    #[arg(long)]
    dry_run: bool,
    /// List every line, not only those that failed
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    metadata: MetadataArgs,
}

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct LineReport {
    line: u64,
    device_id: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
}

impl LineReport {
    fn failed(line: u64, device_id: impl Into<String>, error: String) -> Self {
        Self { line, device_id: device_id.into(), outcome: FAILED, errors: vec![error] }
    }
}

const FAILED: &str = "failed";
const UNCHANGED: &str = "unchanged";

#[derive(Debug, Serialize)]
struct Report {
    dry_run: bool,
    counts: BTreeMap<&'static str, usize>,
    exchanges: usize,
    tenants_created: Vec<String>,
    lines: Vec<LineReport>,
}

/// Runs the command.
pub(crate) async fn run(args: OnboardArgs, out: &Out) -> anyhow::Result<Exit> {
    let (prepared, mut lines) = read(&args.file, args.format)?;
    let mut register = Register::new(args.metadata.connect().await?, args.dry_run);
    let mut exchanges = 0;
    for (tenant_id, of_tenant) in by_tenant(prepared) {
        let (reports, exchanged) = register.tenant(&tenant_id, of_tenant).await?;
        lines.extend(reports);
        exchanges += exchanged;
    }
    lines.sort_by_key(|report| report.line);
    let mut counts = BTreeMap::new();
    lines.iter().for_each(|report| *counts.entry(report.outcome).or_default() += 1);
    let report = Report { dry_run: args.dry_run, counts, exchanges, tenants_created: register.created, lines };
    show(&report, args.all, out)?;
    Ok(Exit::ok_if(!report.counts.contains_key(FAILED)))
}

/// Registers devices of the program's own, with all that they need; those that exist already are brought into line. Whether
/// anything was changed.
///
/// # Errors
/// When the register does not answer, or refuses one of them.
pub(crate) async fn ensure(metadata: Metadata, lines: Vec<DeviceLine>) -> anyhow::Result<bool> {
    let numbered = (1..).zip(lines).map(|(number, line)| prepare(number, line));
    let prepared = numbered.collect::<Result<Vec<_>, _>>().map_err(BadConfig)?;
    let mut register = Register::new(metadata, false);
    let mut changed = false;
    for (tenant_id, of_tenant) in by_tenant(prepared) {
        let (reports, _) = register.tenant(&tenant_id, of_tenant).await?;
        changed |= reports.iter().any(|report| report.outcome != UNCHANGED);
        if let Some(failed) = reports.iter().find(|report| report.outcome == FAILED) {
            bail!("the register refuses {}: {}", failed.device_id, failed.errors.join("; "));
        }
    }
    Ok(changed)
}

fn read(path: &Path, format: Option<FileFormat>) -> anyhow::Result<(Vec<Prepared>, Vec<LineReport>)> {
    let named = || format!("read {}", path.display());
    let by_name = || if path.extension().is_some_and(|e| e == "csv") { FileFormat::Csv } else { FileFormat::Ndjson };
    let text = std::fs::read_to_string(path).map_err(BadConfig::new).with_context(named)?;
    let lines = parse(&text, format.unwrap_or_else(by_name)).map_err(BadConfig).with_context(named)?;
    let (mut prepared, mut failed, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (number, line) in lines {
        let device_id = line.as_ref().map_or_else(|_| String::new(), |line| line.device_id.clone());
        match line.and_then(|line| prepare(number, line)) {
            Ok(_) if !seen.insert(device_id.clone()) => {
                failed.push(LineReport::failed(number, device_id, "the device stands in a line above".into()));
            }
            Ok(line) => prepared.push(line),
            Err(error) => failed.push(LineReport::failed(number, device_id, error)),
        }
    }
    Ok((prepared, failed))
}

fn by_tenant(prepared: Vec<Prepared>) -> BTreeMap<String, Vec<Prepared>> {
    let mut tenants: BTreeMap<String, Vec<Prepared>> = BTreeMap::new();
    for line in prepared {
        tenants.entry(line.tenant_id.clone()).or_default().push(line);
    }
    tenants
}

type Client<T> = InterceptedService<T, Token>;

/// The register, and what was done to it.
struct Register {
    tenants: TenantServiceClient<Client<Channel>>,
    devices: DeviceServiceClient<Client<Channel>>,
    dry_run: bool,
    created: Vec<String>,
}

impl Register {
    fn new(metadata: Metadata, dry_run: bool) -> Self {
        let Metadata { channel, token } = metadata;
        Self {
            tenants: TenantServiceClient::with_interceptor(channel.clone(), token.clone()),
            devices: DeviceServiceClient::with_interceptor(channel, token),
            dry_run,
            created: Vec::new(),
        }
    }

    /// Registers the lines of a tenant; returns their reports and the number of exchanges noted.
    async fn tenant(&mut self, tenant_id: &str, lines: Vec<Prepared>) -> anyhow::Result<(Vec<LineReport>, usize)> {
        let name = lines.first().map_or(tenant_id, |line| line.tenant_name.as_str());
        match self.ensure_tenant(tenant_id, name).await? {
            Tenant::Exists => {}
            // Nothing can be asked about devices of a tenant that is not there.
            Tenant::WouldBeCreated => return Ok((lines.iter().map(would_be_created).collect(), 0)),
            Tenant::Refused(why) => {
                let failed = |line: &Prepared| LineReport::failed(line.bulk.line, device_of(line), why.clone());
                return Ok((lines.iter().map(failed).collect(), 0));
            }
        }
        let mut reports = self.bulk(tenant_id, &lines).await?;
        let exchanges = if self.dry_run { 0 } else { self.exchange(&lines, &mut reports).await? };
        Ok((reports, exchanges))
    }

    async fn ensure_tenant(&mut self, tenant_id: &str, name: &str) -> anyhow::Result<Tenant> {
        let asked = self.tenants.get_tenant(proto::GetTenantRequest { tenant_id: tenant_id.to_owned() }).await;
        match asked {
            Ok(_) => return Ok(Tenant::Exists),
            Err(status) if status.code() == Code::NotFound => {}
            Err(status) if status.code() == Code::InvalidArgument => {
                return Ok(Tenant::Refused(status.message().into()));
            }
            Err(status) => return Err(status).with_context(|| format!("ask for tenant {tenant_id}")),
        }
        self.created.push(tenant_id.to_owned());
        if self.dry_run {
            return Ok(Tenant::WouldBeCreated);
        }
        let tenant =
            proto::Tenant { tenant_id: tenant_id.to_owned(), name: name.to_owned(), ..proto::Tenant::default() };
        match self.tenants.create_tenant(proto::CreateTenantRequest { tenant: Some(tenant) }).await {
            Ok(_) => Ok(Tenant::Exists),
            // Somebody was faster: what was wanted is there.
            Err(status) if status.code() == Code::AlreadyExists => Ok(Tenant::Exists),
            Err(status) => Err(status).with_context(|| format!("create tenant {tenant_id}")),
        }
    }

    async fn bulk(&mut self, tenant_id: &str, lines: &[Prepared]) -> anyhow::Result<Vec<LineReport>> {
        let chunk = |chunk: &[Prepared]| proto::BulkRegisterDevicesRequest {
            tenant_id: tenant_id.to_owned(),
            lines: chunk.iter().map(|line| line.bulk.clone()).collect(),
            dry_run: self.dry_run,
        };
        let requests: Vec<_> = lines.chunks(CHUNK).map(chunk).collect();
        let context = || format!("register devices of {tenant_id}");
        let answers = self.devices.bulk_register_devices(futures::stream::iter(requests)).await;
        let mut answers = answers.with_context(context)?.into_inner();
        let mut reports = Vec::with_capacity(lines.len());
        while let Some(answer) = answers.message().await.with_context(context)? {
            reports.extend(answer.reports.into_iter().map(report));
        }
        if reports.len() != lines.len() {
            bail!("the register answered {} of {} lines of {tenant_id}", reports.len(), lines.len());
        }
        Ok(reports)
    }

    /// Notes the exchanges of the devices that were stored; a refused one fails its line.
    async fn exchange(&mut self, lines: &[Prepared], reports: &mut [LineReport]) -> anyhow::Result<usize> {
        let mut noted = 0;
        for (line, report) in lines.iter().zip(reports) {
            let requests = if report.outcome == FAILED { &[] } else { line.exchanges.as_slice() };
            for request in requests {
                match self.devices.exchange_meter(request.clone()).await {
                    Ok(_) => noted += 1,
                    Err(status) if is_of_the_line(status.code()) => {
                        report.outcome = FAILED;
                        report.errors.push(format!("exchange: {}", status.message()));
                    }
                    Err(status) => {
                        return Err(status).with_context(|| format!("exchange a meter of {}", line.tenant_id));
                    }
                }
            }
        }
        Ok(noted)
    }
}

enum Tenant {
    Exists,
    WouldBeCreated,
    Refused(String),
}

fn is_of_the_line(code: Code) -> bool {
    matches!(code, Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::AlreadyExists)
}

fn device_of(line: &Prepared) -> &str {
    line.bulk.device.as_ref().map_or("", |device| device.device_id.as_str())
}

fn would_be_created(line: &Prepared) -> LineReport {
    LineReport { line: line.bulk.line, device_id: device_of(line).to_owned(), outcome: "created", errors: Vec::new() }
}

fn report(report: proto::LineReport) -> LineReport {
    let outcome = match report.outcome() {
        BulkOutcome::Created => "created",
        BulkOutcome::Updated => "updated",
        BulkOutcome::Unchanged => UNCHANGED,
        BulkOutcome::Failed | BulkOutcome::Unspecified => FAILED,
    };
    let errors = report.errors.into_iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
    LineReport { line: report.line, device_id: report.device_id, outcome, errors }
}

fn show(report: &Report, all: bool, out: &Out) -> anyhow::Result<()> {
    out.report(report, &["line", "device", "outcome", "errors"], |report, rows| {
        for line in report.lines.iter().filter(|line| all || line.outcome == FAILED) {
            let mood = if line.outcome == FAILED { Mood::Bad } else { Mood::Good };
            let cells =
                [line.line.to_string(), line.device_id.clone(), line.outcome.to_owned(), line.errors.join("; ")];
            rows.push(mood, cells);
        }
    })?;
    let counts: Vec<_> = report.counts.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    let tense = if report.dry_run { "would be: " } else { "" };
    out.note(&format!(
        "{tense}{}; {} tenants created, {} exchanges noted",
        if counts.is_empty() { "no lines".to_owned() } else { counts.join(", ") },
        report.tenants_created.len(),
        report.exchanges
    ));
    Ok(())
}
