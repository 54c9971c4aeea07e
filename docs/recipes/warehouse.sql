-- Consumption by local day, as the bill sees it: exact on days of 23 and 25 hours. psql "$WAREHOUSE_READER_URL" -f warehouse.sql
SELECT tenant_id, local_day, local_day_hours, unit, sum(quantity) AS quantity, round(avg(completeness), 4) AS completeness
FROM marts.fct_consumption_daily
GROUP BY tenant_id, local_day, local_day_hours, unit
ORDER BY local_day DESC, tenant_id
LIMIT 10;
