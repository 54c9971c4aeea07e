-- Athena over the Glue catalog. Not run. Database and table are those of lake.namespace; partitions are hidden (day of start, bucket of
-- tenant_id), so filter by the columns themselves.
WITH newest AS (
  SELECT *, row_number() OVER (
    PARTITION BY tenant_id, device_id, channel, kind, "start" ORDER BY version DESC, source_offset DESC, coalesce(revision, 0) DESC
  ) AS place
  FROM meterway.readings
  WHERE tenant_id = 'northgrid' AND "start" >= timestamp '2026-11-01 00:00:00 UTC' AND "start" < timestamp '2026-12-01 00:00:00 UTC'
)
SELECT device_id, local_day, sum(value) AS quantity, count(*) AS intervals
FROM newest
WHERE place = 1 AND kind = 'INTERVAL'
GROUP BY device_id, local_day;
