-- One load of made-up readings, alerts and devices; psql/psycopg parameters in :name form are filled by check/run.py.
-- Half-hourly electricity of two tenants in two zones over both clock changes of 2026.
INSERT INTO raw.readings
SELECT
    fleet.tenant_id, fleet.device_id, '1-0:1.29.0', 'INTERVAL', slot.start, 1800,
    round((0.2 + (hashtext(fleet.device_id || slot.start::text) & 1023) / 1000.0)::numeric, 3), 'kWh',
    CASE WHEN hashtext(slot.start::text || fleet.device_id) %% 97 = 0 THEN 'SUSPECT' ELSE 'VALID' END,
    '', '', '', NULL, %(version)s, (slot.start AT TIME ZONE fleet.zone)::date, 'ELECTRICITY',
    'c-' || fleet.device_id, 's-' || fleet.device_id, 'gateway', 1, 'KAFKA', NULL, slot.start + interval '1 hour',
    'meter.readings.validated.v1', fleet.number %% 4, %(base_offset)s + fleet.number * 100000 + slot.n, 0,
    %(snapshot)s, %(loaded_at)s
FROM (
    SELECT
        n AS number,
        CASE WHEN n %% 2 = 0 THEN 'northgrid' ELSE 'lakeside' END AS tenant_id,
        'device-' || n AS device_id,
        CASE WHEN n %% 2 = 0 THEN 'Europe/London' ELSE 'America/Chicago' END AS zone
    FROM generate_series(1, %(devices)s) AS n
) AS fleet
CROSS JOIN (
    SELECT n, %(from)s::timestamptz + n * interval '30 minutes' AS start
    FROM generate_series(0, (extract(epoch FROM (%(to)s::timestamptz - %(from)s::timestamptz)) / 1800)::integer - 1) AS n
    -- A hole, so that completeness has something to say.
    WHERE n %% 500 NOT BETWEEN 3 AND 9 AND n %% %(every)s = 0
) AS slot;

INSERT INTO raw.readings
SELECT
    'northgrid', 'device-' || n, '1-0:1.8.0', 'REGISTER', %(to)s::timestamptz, 0, 1000 + n, 'kWh', 'VALID', '', '', '', NULL,
    %(version)s, (%(to)s::timestamptz AT TIME ZONE 'Europe/London')::date, 'ELECTRICITY', NULL, NULL, 'gateway', 1, 'KAFKA',
    NULL, %(to)s, 'meter.readings.validated.v1', n %% 4, %(base_offset)s + n * 100000 + 99999, 1, %(snapshot)s, %(loaded_at)s
FROM generate_series(2, %(devices)s, 2) AS n;

INSERT INTO raw.alerts
SELECT
    'northgrid', 'device-' || n, NULL, NULL, 'alert-' || n, 'OUTAGE', 'CRITICAL',
    CASE WHEN %(version)s = 1 THEN 'OPENED' ELSE 'CLOSED' END, %(version)s, %(from)s, %(from)s,
    CASE WHEN %(version)s = 1 THEN NULL ELSE %(from)s::timestamptz + interval '4 hours' END, 'no supply', 0,
    %(base_offset)s + n, %(snapshot)s, %(loaded_at)s
FROM generate_series(2, %(devices)s, 20) AS n;

INSERT INTO raw.devices
SELECT
    'device-' || n, CASE WHEN n %% 2 = 0 THEN 'northgrid' ELSE 'lakeside' END, 'c-device-' || n, 's-device-' || n, NULL,
    'ACTIVE', 'ELECTRICITY', 'RESIDENTIAL', CASE WHEN n %% 2 = 0 THEN 'Europe/London' ELSE 'America/Chicago' END,
    %(version)s, %(loaded_at)s, %(loaded_at)s
FROM generate_series(1, %(known_devices)s) AS n
ON CONFLICT (device_id) DO NOTHING;

INSERT INTO raw.device_channels
SELECT 'device-' || n, channel, kind, 'kWh', interval_s, 1.000000, digits, NULL, false
FROM generate_series(1, %(known_devices)s) AS n
CROSS JOIN (VALUES ('1-0:1.29.0', 'INTERVAL', 1800, NULL), ('1-0:1.8.0', 'REGISTER', NULL, 6))
    AS channels (channel, kind, interval_s, digits)
ON CONFLICT DO NOTHING;

INSERT INTO raw.load_ledger
SELECT
    'meterway.readings', %(snapshot)s, NULL, %(snapshot)s,
    (SELECT count(*) FROM raw.readings WHERE lake_snapshot_id = %(snapshot)s), 1, 0, %(loaded_at)s, %(loaded_at)s,
    %(loaded_at)s, NULL;
ANALYZE raw.readings;
