-- Loaded rows: the lake's columns in the lake's order, then the snapshot they came with and when they were loaded.
-- COLLATE "C": identifiers are compared, never sorted for people; byte order makes indexes and sorts several times faster.
CREATE TABLE raw.readings (
    tenant_id         text COLLATE "C" NOT NULL,
    device_id         text COLLATE "C" NOT NULL,
    channel           text COLLATE "C" NOT NULL,
    kind              text COLLATE "C" NOT NULL,
    start             timestamptz      NOT NULL,
    duration_s        integer          NOT NULL,
    value             numeric(18, 6)   NOT NULL,
    unit              text COLLATE "C" NOT NULL,
    verdict           text COLLATE "C" NOT NULL,
    failed_rules      text COLLATE "C" NOT NULL,
    skipped_rules     text COLLATE "C" NOT NULL,
    flags             text COLLATE "C" NOT NULL,
    estimation_method text COLLATE "C",
    version           integer          NOT NULL,
    local_day         date             NOT NULL,
    commodity         text COLLATE "C" NOT NULL,
    customer_id       text COLLATE "C",
    site_id           text COLLATE "C",
    gateway_id        text COLLATE "C" NOT NULL,
    sequence          bigint           NOT NULL,
    source            text COLLATE "C" NOT NULL,
    received_at       timestamptz,
    validated_at      timestamptz      NOT NULL,
    source_topic      text COLLATE "C" NOT NULL,
    source_partition  integer          NOT NULL,
    source_offset     bigint           NOT NULL,
    reading_index     integer          NOT NULL,
    lake_snapshot_id  bigint           NOT NULL,
    loaded_at         timestamptz      NOT NULL
);
-- All versions of a reading; dbt's incremental models read what was loaded after their newest row.
CREATE INDEX readings_natural_key ON raw.readings (tenant_id, device_id, channel, kind, start);
CREATE INDEX readings_loaded_at ON raw.readings (loaded_at);

CREATE TABLE raw.rejected (
    tenant_id        text COLLATE "C" NOT NULL,
    device_id        text COLLATE "C" NOT NULL,
    source_topic     text COLLATE "C" NOT NULL,
    source_partition integer          NOT NULL,
    source_offset    bigint           NOT NULL,
    reading_index    integer          NOT NULL,
    code             text COLLATE "C" NOT NULL,
    detail           text             NOT NULL,
    validated_at     timestamptz      NOT NULL,
    lake_snapshot_id bigint           NOT NULL,
    loaded_at        timestamptz      NOT NULL
);
CREATE INDEX rejected_source ON raw.rejected (source_topic, source_partition, source_offset);
CREATE INDEX rejected_loaded_at ON raw.rejected (loaded_at);

CREATE TABLE raw.alerts (
    tenant_id        text COLLATE "C" NOT NULL,
    device_id        text COLLATE "C" NOT NULL,
    customer_id      text COLLATE "C",
    site_id          text COLLATE "C",
    alert_id         text COLLATE "C" NOT NULL,
    kind             text COLLATE "C" NOT NULL,
    severity         text COLLATE "C" NOT NULL,
    state            text COLLATE "C" NOT NULL,
    revision         integer          NOT NULL,
    opened_at        timestamptz      NOT NULL,
    updated_at       timestamptz      NOT NULL,
    closed_at        timestamptz,
    detail           text             NOT NULL,
    source_partition integer          NOT NULL,
    source_offset    bigint           NOT NULL,
    lake_snapshot_id bigint           NOT NULL,
    loaded_at        timestamptz      NOT NULL
);
CREATE INDEX alerts_alert ON raw.alerts (tenant_id, alert_id);
CREATE INDEX alerts_loaded_at ON raw.alerts (loaded_at);

-- The ledger: which snapshot of which lake table is in, written in the transaction that adds its rows.
-- loaded_at rises strictly per lake table, so "loaded after" never misses a row that was committed late.
CREATE TABLE raw.load_ledger (
    lake_table         text COLLATE "C" NOT NULL,
    snapshot_id        bigint           NOT NULL,
    parent_snapshot_id bigint,
    load_number        bigint           NOT NULL,
    rows               bigint           NOT NULL,
    files              integer          NOT NULL,
    quarantined_files  integer          NOT NULL DEFAULT 0,
    committed_at       timestamptz      NOT NULL,
    started_at         timestamptz      NOT NULL,
    loaded_at          timestamptz      NOT NULL,
    announced_at       timestamptz,
    PRIMARY KEY (lake_table, snapshot_id),
    UNIQUE (lake_table, load_number)
);
CREATE INDEX load_ledger_unannounced ON raw.load_ledger (lake_table, load_number) WHERE announced_at IS NULL;

-- Files the warehouse refused. They are not in the tables above until somebody asks for another try and it succeeds.
CREATE TABLE raw.load_quarantine (
    lake_table         text COLLATE "C" NOT NULL,
    snapshot_id        bigint           NOT NULL,
    path               text COLLATE "C" NOT NULL,
    rows               bigint           NOT NULL,
    bytes              bigint           NOT NULL,
    reason             text             NOT NULL,
    quarantined_at     timestamptz      NOT NULL,
    retry_requested_at timestamptz,
    resolved_at        timestamptz,
    PRIMARY KEY (lake_table, snapshot_id, path)
);

-- Devices as the register knows them: the newest version of each.
CREATE TABLE raw.devices (
    device_id      text COLLATE "C" PRIMARY KEY,
    tenant_id      text COLLATE "C" NOT NULL,
    customer_id    text COLLATE "C",
    site_id        text COLLATE "C" NOT NULL,
    gateway_id     text COLLATE "C",
    status         text COLLATE "C" NOT NULL,
    commodity      text COLLATE "C" NOT NULL,
    customer_class text COLLATE "C" NOT NULL,
    zone           text COLLATE "C" NOT NULL,
    version        bigint           NOT NULL,
    updated_at     timestamptz      NOT NULL,
    loaded_at      timestamptz      NOT NULL
);
CREATE INDEX devices_loaded_at ON raw.devices (loaded_at);

-- Their channels; replaced together with the device.
CREATE TABLE raw.device_channels (
    device_id         text COLLATE "C" NOT NULL REFERENCES raw.devices (device_id) ON DELETE CASCADE,
    channel           text COLLATE "C" NOT NULL,
    kind              text COLLATE "C" NOT NULL,
    unit              text COLLATE "C" NOT NULL,
    interval_s        integer,
    multiplier        numeric(18, 6)   NOT NULL,
    register_digits   integer,
    capacity_per_hour numeric(18, 6),
    allow_negative    boolean          NOT NULL,
    PRIMARY KEY (device_id, channel, kind)
);
