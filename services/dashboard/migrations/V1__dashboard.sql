-- What the dashboard stores itself. Each transaction says for whom it works; without that it sees nothing, though the role
-- owns the tables: row-level security is forced.
CREATE TABLE acknowledgements (
    tenant_id  text        NOT NULL,
    alert_id   text        NOT NULL,
    by_name    text        NOT NULL,
    by_subject text        NOT NULL,
    at         timestamptz NOT NULL,
    note       text        NOT NULL,
    normal     boolean     NOT NULL,
    PRIMARY KEY (tenant_id, alert_id)
);

-- Settings are a person's, whatever tenant they look at.
CREATE TABLE settings (
    subject    text        PRIMARY KEY,
    value      jsonb       NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE audit_log (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL,
    tenant_id text        NOT NULL,
    subject   text        NOT NULL,
    name      text        NOT NULL,
    role      text        NOT NULL,
    action    text        NOT NULL,
    target    text        NOT NULL,
    status    integer     NOT NULL
);
CREATE INDEX audit_log_tenant ON audit_log (tenant_id, id DESC);
CREATE INDEX audit_log_at ON audit_log (at);

ALTER TABLE acknowledgements ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_the_tenant ON acknowledgements USING (tenant_id = (SELECT nullif(current_setting('meterway.tenant_id', true), '')));

ALTER TABLE settings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_the_person ON settings USING (subject = (SELECT nullif(current_setting('meterway.subject', true), '')));

ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_the_tenant ON audit_log FOR SELECT
    USING (tenant_id = (SELECT nullif(current_setting('meterway.tenant_id', true), '')));
-- The log only grows, but for what is older than its retention, which is a month at least.
CREATE POLICY grows ON audit_log FOR INSERT WITH CHECK (true);
CREATE POLICY ages_seen ON audit_log FOR SELECT
    USING ((SELECT current_setting('meterway.scope', true)) = 'retention' AND at < now() - interval '30 days');
CREATE POLICY ages ON audit_log FOR DELETE
    USING ((SELECT current_setting('meterway.scope', true)) = 'retention' AND at < now() - interval '30 days');
