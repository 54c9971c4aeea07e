-- Snowflake over the Glue catalog, read only. Not run. The integrations are made once by an account administrator.
CREATE ICEBERG TABLE readings
  EXTERNAL_VOLUME = 'meterway_lake' CATALOG = 'meterway_glue' CATALOG_TABLE_NAME = 'readings' AUTO_REFRESH = TRUE;

WITH newest AS (
  SELECT * FROM readings
  WHERE tenant_id = 'northgrid' AND kind = 'INTERVAL'
  QUALIFY row_number() OVER (
    PARTITION BY tenant_id, device_id, channel, kind, start ORDER BY version DESC, source_offset DESC, revision DESC NULLS LAST
  ) = 1
)
SELECT device_id, local_day, sum(value) AS quantity, count(*) AS intervals
FROM newest
GROUP BY device_id, local_day;
