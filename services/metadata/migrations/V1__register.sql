-- The register. Run as the owner of the schema; the service runs as metadata_app, which owns nothing.
--
-- Who may see what is decided here, not in the service. Every table has row-level security, ENABLED and FORCED, and each
-- transaction says on whose behalf it runs, by one of two settings that end with the transaction:
--   app.tenant  one tenant: its rows, and nothing else;
--   app.scope   work that crosses tenants. Each scope opens the tables and commands it needs and no others:
--     operator   create, change and list tenants
--     key_check  find a key and its tenant's limits by the key's id
--     settings   read the alert settings of all tenants
--     relay      read what is to be published, and clear the outbox
-- Neither set: no rows at all.

CREATE FUNCTION current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('app.tenant', true), '');

CREATE FUNCTION current_scope() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('app.scope', true), '');

CREATE TABLE tenant (
    tenant_id           text        PRIMARY KEY CHECK (tenant_id ~ '^[A-Za-z0-9_.:-]{1,128}$'),
    name                text        NOT NULL,
    status              text        NOT NULL CHECK (status IN ('ACTIVE', 'SUSPENDED')),
    requests_per_second bigint      NOT NULL CHECK (requests_per_second >= 0),
    readings_per_second bigint      NOT NULL CHECK (readings_per_second >= 0),
    max_request_bytes   bigint      NOT NULL CHECK (max_request_bytes >= 0),
    version             bigint      NOT NULL DEFAULT 1,
    updated_at          timestamptz NOT NULL
);
COMMENT ON TABLE tenant IS 'Companies whose meters these are, and what they may use; limits of 0 stand for the default of the service that enforces them.';

CREATE TABLE customer (
    tenant_id   text        NOT NULL CONSTRAINT customer_tenant REFERENCES tenant,
    customer_id text        NOT NULL,
    name        text        NOT NULL,
    version     bigint      NOT NULL DEFAULT 1,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, customer_id)
);
COMMENT ON TABLE customer IS 'Those who are supplied. The name is personal data and is not published.';

CREATE TABLE site (
    tenant_id  text        NOT NULL CONSTRAINT site_tenant REFERENCES tenant,
    site_id    text        NOT NULL,
    zone       text        NOT NULL,
    address    text        NOT NULL,
    version    bigint      NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, site_id)
);
COMMENT ON TABLE site IS 'Where devices are installed; its zone decides on which day a reading falls.';

CREATE TABLE device (
    tenant_id      text        NOT NULL CONSTRAINT device_tenant REFERENCES tenant,
    device_id      text        NOT NULL,
    site_id        text        NOT NULL,
    customer_id    text,
    gateway_id     text,
    status         text        NOT NULL CHECK (status IN ('ACTIVE', 'INACTIVE', 'RETIRED')),
    commodity      text        NOT NULL,
    customer_class text        NOT NULL,
    channels       jsonb       NOT NULL,
    version        bigint      NOT NULL DEFAULT 1,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, device_id),
    CONSTRAINT device_site FOREIGN KEY (tenant_id, site_id) REFERENCES site,
    CONSTRAINT device_customer FOREIGN KEY (tenant_id, customer_id) REFERENCES customer
);
-- The id is the key of the device's messages, so two tenants can't both have it. That one is taken can be found out by
-- trying to take it; by whom can't.
CREATE UNIQUE INDEX device_id_is_unique ON device (device_id);
CREATE INDEX device_by_site ON device (tenant_id, site_id, device_id);
CREATE INDEX device_by_customer ON device (tenant_id, customer_id, device_id);
COMMENT ON TABLE device IS 'Meters and sensors, as they are published.';

CREATE TABLE meter_exchange (
    tenant_id     text           NOT NULL,
    device_id     text           NOT NULL,
    channel       text           NOT NULL,
    at            timestamptz    NOT NULL,
    closing_value numeric(18, 6) NOT NULL,
    opening_value numeric(18, 6) NOT NULL,
    PRIMARY KEY (tenant_id, device_id, channel, at),
    CONSTRAINT meter_exchange_device FOREIGN KEY (tenant_id, device_id) REFERENCES device
);
COMMENT ON TABLE meter_exchange IS 'Replacements of the meter behind a device: last dial of the old one, first of the new.';

CREATE TABLE api_key (
    tenant_id    text        NOT NULL CONSTRAINT api_key_tenant REFERENCES tenant,
    key_id       text        NOT NULL,
    name         text        NOT NULL,
    secret_hash  bytea       NOT NULL CHECK (octet_length(secret_hash) = 32),
    scopes       text[]      NOT NULL,
    lifetime_s   bigint,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    PRIMARY KEY (tenant_id, key_id)
);
CREATE UNIQUE INDEX api_key_id_is_unique ON api_key (key_id);
COMMENT ON TABLE api_key IS 'Keys of gateways that deliver over HTTP; only the SHA-256 of the secret is kept.';

CREATE TABLE alert_rule (
    tenant_id      text        NOT NULL CONSTRAINT alert_rule_tenant REFERENCES tenant,
    kind           text        NOT NULL,
    customer_class text        NOT NULL,
    enabled        boolean     NOT NULL,
    threshold      text,
    window_s       bigint      CHECK (window_s > 0),
    severity       text,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, kind, customer_class)
);
COMMENT ON TABLE alert_rule IS 'Thresholds of a tenant; customer_class ANY holds for every class that has no rule of its own.';

CREATE TABLE alert_exception (
    tenant_id  text        NOT NULL,
    device_id  text        NOT NULL,
    kind       text        NOT NULL,
    until      timestamptz,
    note       text        NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, device_id, kind),
    CONSTRAINT alert_exception_device FOREIGN KEY (tenant_id, device_id) REFERENCES device
);
COMMENT ON TABLE alert_exception IS 'What was declared normal for a device.';

-- One row per device with an unpublished change. It is written in the transaction of the change and holds the version
-- only: the relay publishes the state it finds when it reads, and clears the row only if no newer version came up since.
-- So the newest version is always published last, and no sequence number has to be visible in order.
CREATE TABLE outbox (
    tenant_id  text        NOT NULL,
    device_id  text        NOT NULL,
    version    bigint      NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, device_id),
    CONSTRAINT outbox_device FOREIGN KEY (tenant_id, device_id) REFERENCES device
);
CREATE INDEX outbox_by_age ON outbox (changed_at, device_id);
COMMENT ON TABLE outbox IS 'Devices with a change that is not known to be published.';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tenant', 'customer', 'site', 'device', 'meter_exchange', 'api_key', 'alert_rule',
                                'alert_exception', 'outbox'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    END LOOP;
    -- A tenant may read its own row of this one; changing it is for operators.
    FOREACH name IN ARRAY ARRAY['customer', 'site', 'device', 'meter_exchange', 'api_key', 'alert_rule',
                                'alert_exception', 'outbox'] LOOP
        EXECUTE format('CREATE POLICY own_rows ON %I USING (tenant_id = current_tenant()) '
                       'WITH CHECK (tenant_id = current_tenant())', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO metadata_app', name);
    END LOOP;
END
$$;

GRANT SELECT, INSERT, UPDATE ON tenant TO metadata_app;
CREATE POLICY own_row ON tenant FOR SELECT USING (tenant_id = current_tenant());
CREATE POLICY operator ON tenant USING (current_scope() = 'operator') WITH CHECK (current_scope() = 'operator');

CREATE POLICY key_check ON tenant FOR SELECT USING (current_scope() = 'key_check');
CREATE POLICY key_check ON api_key FOR SELECT USING (current_scope() = 'key_check');

CREATE POLICY settings ON alert_rule FOR SELECT USING (current_scope() = 'settings');
CREATE POLICY settings ON alert_exception FOR SELECT USING (current_scope() = 'settings');

CREATE POLICY relay ON site FOR SELECT USING (current_scope() = 'relay');
CREATE POLICY relay ON device FOR SELECT USING (current_scope() = 'relay');
CREATE POLICY relay ON meter_exchange FOR SELECT USING (current_scope() = 'relay');
CREATE POLICY relay ON outbox USING (current_scope() = 'relay') WITH CHECK (current_scope() = 'relay');

-- The service refuses to start on a schema of another version than its own, so it must be able to read which one it is.
GRANT SELECT ON refinery_schema_history TO metadata_app;
