-- Spark SQL with Iceberg's runtime; catalog lake of type glue, rest or jdbc. Not run.
WITH newest AS (
  SELECT *, row_number() OVER (
    PARTITION BY tenant_id, device_id, channel, kind, start ORDER BY version DESC, source_offset DESC, coalesce(revision, 0) DESC
  ) AS place
  FROM lake.meterway.readings
  WHERE tenant_id = 'northgrid' AND start >= timestamp'2026-11-01 00:00:00Z' AND start < timestamp'2026-12-01 00:00:00Z'
)
SELECT device_id, local_day, sum(value) AS quantity, count(*) AS intervals
FROM newest
WHERE place = 1 AND kind = 'INTERVAL'
GROUP BY device_id, local_day;
