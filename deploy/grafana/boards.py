"""Grafana's boards as code: boards.py writes dashboards/*.json, boards.py --check tells whether they are what it writes.

A board is a list of rows, a row a title and its panels, a panel what it is called, what it tells, its unit and its queries."""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
WIDTH = 24
PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}


def panel(title, tells, unit, *queries, kind="timeseries", stack=False, bounds=()):
    """One panel. A query is an expression, or (expression, legend). Bounds: (value, colour) above which it is bad."""
    targets = [query if isinstance(query, tuple) else (query, "__auto") for query in queries]
    custom = {"fillOpacity": 20 if stack else 5, "stacking": {"mode": "normal" if stack else "none"}, "showPoints": "never"}
    steps = [{"color": "green", "value": None}, *({"color": colour, "value": value} for value, colour in bounds)]
    return {
        "title": title,
        "description": tells,
        "type": kind,
        "datasource": PROMETHEUS,
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps},
                **({"custom": custom} if kind == "timeseries" else {}),
            },
            "overrides": [],
        },
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}} if kind == "stat" else {"tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + n), "expr": expr, "legendFormat": legend, "datasource": PROMETHEUS}
            for n, (expr, legend) in enumerate(targets)
        ],
    }


def stat(title, tells, unit, query, bounds=()):
    return panel(title, tells, unit, query, kind="stat", bounds=bounds)


def rate(metric, by="", where=""):
    """Per second, summed by labels."""
    inner = f"rate({metric}{where}[$__rate_interval])"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def quantile(share, metric, by=""):
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[$__rate_interval])))"


def board(uid, title, tells, *rows, tags=()):
    panels, y = [], 0
    for name, content in rows:
        panels.append({"type": "row", "title": name, "collapsed": False, "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}, "panels": []})
        y += 1
        x, height = 0, 0
        for item in content:
            width, tall = (4, 4) if item["type"] == "stat" else (8, 8)
            if x + width > WIDTH:
                x, y, height = 0, y + height, 0
            panels.append({**item, "gridPos": {"x": x, "y": y, "w": width, "h": tall}})
            x, height = x + width, max(height, tall)
        y += height
    for number, item in enumerate(panels, 1):
        item["id"] = number
    links = [{"type": "dashboards", "tags": ["meterway"], "title": "Meterway", "asDropdown": True, "includeVars": False, "keepTime": True}]
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return {
        "uid": f"meterway-{uid}",
        "title": title,
        "description": tells,
        "tags": ["meterway", *tags],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": [source]},
        "links": links,
        "panels": panels,
    }


LAG = panel("Records that wait", "Between the position of the consumer and the end of the topic.", "short",
            ("sum by (job, topic) (kafka_consumer_lag_records)", "{{job}} {{topic}}"))
UP = panel("Processes", "That answer when asked for their metrics.", "short", ("sum by (job) (up)", "{{job}}"))
OBJECTIVES = [
    stat("Ingest: errors", "Share of answers that are 5xx over six hours; 0.1 % is allowed.", "percentunit", "objective:ingest_errors:ratio_rate6h", [(0.001, "red")]),
    stat("Ingest: slow", "Share of answers that took over a second, over six hours; 1 % is allowed.", "percentunit", "objective:ingest_slow:ratio_rate6h", [(0.01, "red")]),
    stat("Lake: late", "Share of six hours in which a record older than 5 min was not in the lake; 1 % is allowed.", "percentunit", "objective:lake_stale:ratio6h", [(0.01, "red")]),
    stat("Warehouse: late", "Share of six hours in which a snapshot older than 15 min was not loaded; 1 % is allowed.", "percentunit", "objective:warehouse_stale:ratio6h", [(0.01, "red")]),
    stat("Known readings missing", "Of the canary, at any stage. Must be 0.", "short", "sum(canary_missing)", [(1, "red")]),
    stat("Known readings twice", "Of the canary, ever. Must be 0.", "short", "sum(canary_duplicates_total)", [(1, "red")]),
]
STAGES = [
    panel("Readings by stage", "Per second: stored by ingest, judged by validate, committed to the lake, loaded into the warehouse. They run side by side when nothing waits.", "short",
          (rate("ingest_stored_total", where='{kind="readings"}'), "stored over HTTP"),
          (rate("validate_readings_accepted_total"), "accepted"), (rate("validate_rejections_total"), "rejected"),
          (rate("parquet_sink_rows_committed_total", where='{route="readings"}'), "lake"),
          (rate("redshift_loader_rows_total", where='{table="readings"}'), "warehouse")),
    panel("Age at each stage", "Of the oldest that has not got past it.", "s",
          ("max(validate_decision_delay_seconds)", "decision"), ("max(parquet_sink_oldest_uncommitted_age_seconds)", "lake"),
          ("max(redshift_loader_lag_seconds)", "warehouse"), ("max(alert_oldest_unflushed_seconds)", "live status"),
          ("time() - max(redshift_loader_dbt_last_success_timestamp_seconds)", "facts")),
    LAG,
]

BOARDS = {
    "overview": board("overview", "Meterway: overview", "The objectives, and whether readings flow.",
        ("Objectives", OBJECTIVES), ("Flow", STAGES),
        ("Trouble", [
            panel("Alerts that fire", "By severity; each has a runbook.", "short", ('sum by (alertname, severity) (ALERTS{alertstate="firing"})', "{{severity}} {{alertname}}")),
            panel("Rejected readings", "By reason; each is kept with its bytes.", "short", (rate("validate_rejections_total", "code"), "{{code}}"), stack=True),
            UP])),
    "pipeline": board("pipeline", "Meterway: pipeline by stage", "A reading's way from the door to the facts.",
        ("All stages", STAGES),
        ("The door", [
            panel("Answers", "Per second by status.", "reqps", (rate("ingest_requests_total", "status"), "{{status}}"), stack=True),
            panel("Time to the confirmation", "From the first byte to the answer, the broker's confirmation included.", "s", (quantile(0.5, "ingest_request_duration_seconds"), "p50"), (quantile(0.99, "ingest_request_duration_seconds"), "p99")),
            panel("Bytes", "After decompression, per second.", "Bps", rate("ingest_decoded_bytes_total"))]),
        ("Kafka, as its clients see it", [
            panel("Records read", "Per second by service and topic.", "short", (rate("kafka_consumer_records_read_total", "job, topic"), "{{job}} {{topic}}")),
            panel("Not reading", "Share of the time in which a consumer waits for what comes behind it.", "percentunit", (rate("kafka_consumer_paused_seconds_total", "job"), "{{job}}")),
            panel("Rebalances and refused commits", "Per second. Each commit that is refused lengthens the next replay, nothing else.", "short", (rate("kafka_consumer_rebalances_total", "job, kind"), "{{job}} {{kind}}"), (rate("kafka_consumer_commit_failures_total", "job"), "{{job}} commit refused")),
            panel("Dead letters", "Records set aside, by stage and reason.", "short", (rate("kafka_dead_letter_records_total", "stage, code"), "{{stage}} {{code}}"), stack=True),
            panel("Producers", "Waits for a full queue, and deliveries that no broker confirmed (must be 0).", "short", (rate("kafka_producer_queue_full_total", "job"), "{{job}} waits"), (rate("kafka_producer_delivery_failures_total", "job"), "{{job}} not confirmed")),
            panel("Schema registry", "Requests by outcome.", "reqps", (rate("schema_registry_requests_total", "job, outcome"), "{{job}} {{outcome}}"))])),
    "lake": board("lake", "Meterway: lake", "Commits to the Iceberg tables.",
        ("Now", [
            stat("Oldest record not committed", "Five minutes are the objective.", "s", "max(parquet_sink_oldest_uncommitted_age_seconds)", [(300, "red")]),
            stat("Routes that wait", "For catalog, store, Kafka or registry.", "short", "sum(parquet_sink_paused)", [(1, "red")]),
            stat("Missing decisions", "Source offsets without one, ever. Must be 0.", "short", "sum(parquet_sink_missing_decisions_total)", [(1, "red")]),
            stat("Records set aside", "That cannot be written, ever. Must be 0.", "short", "sum(parquet_sink_records_dead_lettered_total)", [(1, "red")]),
            stat("Memory of rows", "That wait to be written.", "bytes", "sum(parquet_sink_memory_bytes)")]),
        ("Commits", [
            panel("Rows", "Committed per second by table.", "short", (rate("parquet_sink_rows_committed_total", "route"), "{{route}}"), stack=True),
            panel("Why files were closed", "Commits per second by reason.", "short", (rate("parquet_sink_commits_total", "reason"), "{{reason}}"), stack=True),
            panel("Time of a commit", "Catalog included.", "s", (quantile(0.5, "parquet_sink_commit_seconds", "route"), "{{route}} p50"), (quantile(0.99, "parquet_sink_commit_seconds", "route"), "{{route}} p99"))]),
        ("Files", [
            panel("Size", "Median and ninetieth percentile: many small files make reading slow.", "bytes", (quantile(0.5, "parquet_sink_file_bytes", "route"), "{{route}} p50"), (quantile(0.9, "parquet_sink_file_bytes", "route"), "{{route}} p90")),
            panel("Time to write", "Encoding and storing of a file.", "s", (quantile(0.9, "parquet_sink_file_write_seconds", "route"), "{{route}} p90")),
            panel("Bytes per row", "Of what was committed.", "bytes", (f'{rate("parquet_sink_committed_bytes_total", "route")} / {rate("parquet_sink_rows_committed_total", "route")}', "{{route}}"))]),
        ("Refusals", [
            panel("Conflicts", "rebased: another member committed, the commit was repeated. restarted: somebody else had moved the heads.", "short", (rate("parquet_sink_commit_conflicts_total", "route, outcome"), "{{route}} {{outcome}}")),
            panel("Attempts to be repeated", "By component.", "short", (rate("parquet_sink_failed_attempts_total", "component"), "{{component}}")),
            panel("Decisions seen again", "Dropped, because an earlier one holds. Harmless.", "short", (rate("parquet_sink_re_emissions_total", "route"), "{{route}}"))])),
    "warehouse": board("warehouse", "Meterway: warehouse", "Loads, their failures, and the facts. Time in the warehouse's own queue is the warehouse's to tell (stl_wlm_query, pg_stat_activity).",
        ("Now", [
            stat("Oldest snapshot not loaded", "Fifteen minutes are the objective.", "s", "max(redshift_loader_lag_seconds)", [(900, "red")]),
            stat("Snapshots to load", "Of all tables.", "short", "sum(redshift_loader_lag_snapshots)"),
            stat("Files in quarantine", "Refused by the warehouse; somebody must look.", "short", "sum(redshift_loader_quarantined_files)", [(1, "red")]),
            stat("Age of the facts", "Since the last good build.", "s", "time() - max(redshift_loader_dbt_last_success_timestamp_seconds)", [(7200, "red")])]),
        ("Loads", [
            panel("Rows", "Per second by table.", "short", (rate("redshift_loader_rows_total", "table"), "{{table}}"), stack=True),
            panel("Time of a load", "From its begin to its commit: copying, and waiting for the warehouse.", "s", (quantile(0.5, "redshift_loader_load_seconds", "table"), "{{table}} p50"), (quantile(0.99, "redshift_loader_load_seconds", "table"), "{{table}} p99")),
            panel("Retries", "By kind; each has a runbook.", "short", (rate("redshift_loader_retries_total", "kind"), "{{kind}}")),
            panel("Snapshots", "By outcome; already loaded is a hit in the ledger.", "short", (rate("redshift_loader_snapshots_total", "table, outcome"), "{{table}} {{outcome}}")),
            panel("Foreign snapshots", "Of engines that removed or replaced rows.", "short", (rate("redshift_loader_foreign_snapshots_total", "table"), "{{table}}")),
            panel("Devices", "Records of the devices topic by outcome.", "short", (rate("redshift_loader_devices_total", "outcome"), "{{outcome}}"))]),
        ("Facts", [
            panel("Builds", "By outcome.", "short", (rate("redshift_loader_dbt_runs_total", "outcome"), "{{outcome}}")),
            panel("Time of a build", "Median and ninetieth percentile.", "s", (quantile(0.5, "redshift_loader_dbt_seconds"), "p50"), (quantile(0.9, "redshift_loader_dbt_seconds"), "p90")),
            panel("Hints and notices", "Heard from the lake, given to others.", "short", (rate("redshift_loader_hints_total"), "hints"), (rate("redshift_loader_announcements_total"), "notices"))])),
    "alerts": board("alerts", "Meterway: alerts and live status", "Leaks, outages and the rest, on their way to people.",
        ("Now", [
            stat("Open alerts", "Of all devices.", "short", "sum(alert_open_alerts)"),
            stat("Behind", "Age of the oldest input whose effect is not stored.", "s", "max(alert_oldest_unflushed_seconds)", [(60, "red")]),
            stat("Devices with a state", "That alert follows.", "short", "sum(alert_devices)")]),
        ("Alerts", [
            panel("Open by kind", "One per device and kind.", "short", ("sum by (kind) (alert_open_alerts)", "{{kind}}"), stack=True),
            panel("Published", "Raised and closed, per second.", "short", (rate("alert_alerts_published_total", "kind, state"), "{{kind}} {{state}}")),
            panel("Events of devices", "By outcome.", "short", (rate("alert_events_total", "outcome"), "{{outcome}}"))]),
        ("Stores and receivers", [
            panel("Writes", "written, or stale: a newer state was there.", "short", (rate("alert_store_writes_total", "table, outcome"), "{{table}} {{outcome}}")),
            panel("Writes to be repeated", "Throttled or unavailable.", "short", (rate("alert_store_retries_total", "table, reason"), "{{table}} {{reason}}")),
            panel("Webhooks", "By outcome.", "short", (rate("alert_webhook_deliveries_total", "outcome"), "{{outcome}}"))])),
    "fleet": board("fleet", "Meterway: fleet", "What the meters send: how much of it is fit, and why not. Completeness per local day stands in the warehouse (marts.fct_consumption_daily) and on the dashboard.",
        ("Readings", [
            panel("Judged", "Accepted, corrected (a further version) and rejected, per second.", "short", (rate("validate_readings_accepted_total"), "accepted"), (rate("validate_readings_corrected_total"), "of which corrections"), (rate("validate_rejections_total"), "rejected")),
            panel("Share rejected", "5 % for a quarter of an hour is an alert.", "percentunit", (f'{rate("validate_rejections_total")} / ({rate("validate_rejections_total")} + {rate("validate_readings_accepted_total")})', "rejected"), bounds=[(0.05, "red")]),
            panel("Rejected by reason", "The closed list of reasons.", "short", (rate("validate_rejections_total", "code"), "{{code}}"), stack=True),
            panel("Marked as suspect", "Accepted, with a verdict that says which rule failed.", "short", (rate("validate_readings_suspect_total", "rule"), "{{rule}}"), stack=True),
            panel("Rules that could not be applied", "For lack of a history or a device's data.", "short", (rate("validate_rules_skipped_total", "rule"), "{{rule}}")),
            panel("Deliveries without a number", "Of gateways that do not count: no gap can tell of their losses.", "short", rate("ingest_unsequenced_total"))]),
        ("Devices", [
            panel("Known to validate", "Devices in its table.", "short", ("max(validate_devices)", "devices")),
            panel("Onboarded", "Lines of bulk registrations by outcome.", "short", (rate("metadata_onboarded_devices_total", "outcome"), "{{outcome}}")),
            panel("With a live state", "That alert follows.", "short", ("sum(alert_devices)", "devices"))])),
    "canary": board("canary", "Meterway: canary", "Known readings, followed to every stage.",
        ("Known readings", [
            panel("Sent and seen", "Per second by way and stage.", "short", (rate("canary_sent_total", "via"), "sent via {{via}}"), (rate("canary_seen_total", "stage"), "seen at {{stage}}")),
            panel("From sending to being seen", "Ninety-ninth percentile by stage.", "s", (quantile(0.99, "canary_latency_seconds", "stage"), "{{stage}}")),
            panel("Missing now", "At each stage, after the patience. Must be 0.", "short", ("max by (stage) (canary_missing)", "{{stage}}")),
            panel("Twice or changed", "Ever. Must be 0.", "short", ("sum by (stage) (canary_duplicates_total)", "{{stage}} twice"), ("sum by (stage) (canary_corrupted_total)", "{{stage}} changed")),
            panel("Stages that can be seen", "0: nothing is known about readings there.", "short", ("min by (stage) (canary_stage_up)", "{{stage}}")),
            panel("Time to the confirmation", "Ninety-ninth percentile by way.", "s", (quantile(0.99, "canary_ack_latency_seconds", "via"), "{{via}}"))])),
    "service-ingest": board("ingest", "Meterway: ingest", "The door for gateways that speak HTTP.",
        ("Requests", [
            panel("By route and status", "Per second.", "reqps", (rate("ingest_requests_total", "route, status"), "{{route}} {{status}}")),
            panel("Time to the answer", "Ninety-ninth percentile by route.", "s", (quantile(0.99, "ingest_request_duration_seconds", "route"), "{{route}}")),
            panel("Stored", "Readings and events that the broker confirmed, per second.", "short", (rate("ingest_stored_total", "kind"), "{{kind}}"))]),
        ("Keys", [
            panel("API keys", "Checks by result.", "short", (rate("ingest_key_checks_total", "result"), "{{result}}")),
            panel("Idempotency keys", "Requests with one, by outcome.", "short", (rate("ingest_idempotency_total", "outcome"), "{{outcome}}")),
            panel("Keyed requests under way", "Those, and the trouble with their leases and answers.", "short", ("sum(ingest_idempotency_open)", "open"), (rate("ingest_idempotency_lease_renewals_total", where='{result="failed"}'), "leases not renewed"), (rate("ingest_idempotency_answer_retries_total"), "answers written again"), (rate("ingest_idempotency_searched_messages_total"), "messages searched"))])),
    "service-validate": board("validate", "Meterway: validate", "Decides every raw message once.",
        ("Decisions", [
            panel("Messages", "Decided per second.", "short", rate("validate_messages_decided_total")),
            panel("Delay", "From the raw record's time to the delivered decision, by partition.", "s", ("max by (partition) (validate_decision_delay_seconds)", "{{partition}}")),
            panel("Time of a block", "Decoding and deciding.", "s", (quantile(0.5, "validate_block_seconds"), "p50"), (quantile(0.99, "validate_block_seconds"), "p99"))]),
        ("State", [
            panel("Histories", "Bytes of all partitions; the budget is 192 MiB unless set otherwise.", "bytes", ("sum(validate_history_size_bytes)", "bytes")),
            panel("Devices with a history", "Of all partitions.", "short", ("sum(validate_history_devices)", "devices")),
            panel("Rebuilding after an assignment", "Ninety-ninth percentile of its time, and decisions read.", "s", (quantile(0.99, "validate_rebuild_seconds"), "time p99"), (rate("validate_rebuilt_decisions_total"), "decisions per second")),
            panel("Device table", "Reads for an unknown device by outcome, and odd states.", "short", (rate("validate_device_refreshes_total", "outcome"), "{{outcome}}"), (rate("validate_device_defects_total"), "defects")),
            panel("What must be 0", "Messages that retention removed undecided; records of the output that are no decisions.", "short", ("sum(validate_lost_offsets_total)", "lost"), ("sum(validate_unreadable_decisions_total)", "unreadable")),
            panel("Replay lane", "Outcomes per second.", "short", (rate("validate_replay_outcomes_total", "outcome"), "{{outcome}}")),
            panel("Where partitions went on", "Raw offset after the last assignment.", "short", ("max by (partition) (validate_resume_offset)", "{{partition}}"))])),
    "service-metadata": board("metadata", "Meterway: metadata", "The register of tenants, devices and keys.",
        ("Calls", [
            panel("By method and code", "Per second.", "reqps", (rate("metadata_calls_total", "method, code"), "{{method}} {{code}}")),
            panel("Time", "Ninety-ninth percentile by method.", "s", (quantile(0.99, "metadata_call_seconds", "method"), "{{method}}"))]),
        ("Outbox", [
            panel("Devices that wait", "Changed and not published; refused ones cannot be published as they are.", "short", ("max(metadata_outbox_waiting_devices)", "waiting"), ("max(metadata_outbox_refused_devices)", "refused")),
            panel("Oldest change", "That waits.", "s", ("time() - max(metadata_outbox_oldest_timestamp_seconds > 0)", "age")),
            panel("Leaders", "Instances that publish. Must be 1.", "short", ("sum(metadata_outbox_leads)", "leaders")),
            panel("Published", "Devices per second, and times the relay began anew.", "short", (rate("metadata_outbox_published_devices_total"), "published"), (rate("metadata_outbox_failures_total"), "began anew"))])),
    "service-dashboard": board("dashboard", "Meterway: dashboard", "The page and its API.",
        ("Requests", [
            panel("By status", "Per second.", "reqps", (rate("dashboard_requests_total", "status"), "{{status}}"), stack=True),
            panel("Time to the answer", "Ninety-ninth percentile by route.", "s", (quantile(0.99, "dashboard_request_duration_seconds", "route"), "{{route}}")),
            panel("Tokens", "Checked, by result.", "short", (rate("dashboard_tokens_total", "result"), "{{result}}"))]),
        ("Streams and log", [
            panel("Open streams", "Browsers that watch.", "short", ("sum(dashboard_stream_clients)", "streams")),
            panel("Events", "Handed over by kind, dropped for slow readers, passed over as unreadable.", "short", (rate("dashboard_stream_events_total", "kind"), "{{kind}}"), (rate("dashboard_stream_dropped_total"), "dropped"), (rate("dashboard_stream_poison_total"), "unreadable")),
            panel("Audit log", "Entries by result, and those that wait.", "short", (rate("dashboard_audit_entries_total", "result"), "{{result}}"), ("sum(dashboard_audit_waiting)", "waiting")),
            panel("Keys of the issuer", "Fetches by result.", "short", (rate("dashboard_key_fetches_total", "result"), "{{result}}"))])),
}


def main() -> int:
    folder, stale = HERE / "dashboards", []
    written = {f"{name}.json": json.dumps(content, indent=1) + "\n" for name, content in BOARDS.items()}
    for name, text in written.items():
        path = folder / name
        if "--check" in sys.argv[1:]:
            stale += [] if path.is_file() and path.read_text() == text else [name]
        else:
            path.write_text(text)
    stale += sorted(path.name for path in folder.glob("*.json") if path.name not in written)
    if stale:
        print(f"not what boards.py writes: {', '.join(stale)}; run deploy/grafana/boards.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
