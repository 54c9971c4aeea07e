-- Rows by tenant for the dashboard. Its role, meterway_dashboard, says in each transaction for which tenant (and customer) it
-- works, and without that sees nothing; every other role sees what its grants let it. The role is compared by name, so
-- that it is bound however early or late it is created. A setting that was made once reads as an empty text afterwards, and
-- messages that could not be decoded have an empty tenant: nobody is not a tenant. Each sub-select is evaluated once per statement.
ALTER TABLE raw.readings ENABLE ROW LEVEL SECURITY;
CREATE POLICY row_access ON raw.readings FOR SELECT USING (
    (SELECT current_user) <> 'meterway_dashboard'
    OR (tenant_id = (SELECT nullif(current_setting('meterway.tenant_id', true), ''))
        AND (customer_id = (SELECT current_setting('meterway.customer_id', true))
            OR coalesce((SELECT current_setting('meterway.customer_id', true)), '') = '')));

ALTER TABLE raw.alerts ENABLE ROW LEVEL SECURITY;
CREATE POLICY row_access ON raw.alerts FOR SELECT USING (
    (SELECT current_user) <> 'meterway_dashboard'
    OR (tenant_id = (SELECT nullif(current_setting('meterway.tenant_id', true), ''))
        AND (customer_id = (SELECT current_setting('meterway.customer_id', true))
            OR coalesce((SELECT current_setting('meterway.customer_id', true)), '') = '')));

ALTER TABLE raw.devices ENABLE ROW LEVEL SECURITY;
CREATE POLICY row_access ON raw.devices FOR SELECT USING (
    (SELECT current_user) <> 'meterway_dashboard'
    OR (tenant_id = (SELECT nullif(current_setting('meterway.tenant_id', true), ''))
        AND (customer_id = (SELECT current_setting('meterway.customer_id', true))
            OR coalesce((SELECT current_setting('meterway.customer_id', true)), '') = '')));

-- A rejection names no customer, so customers see none.
ALTER TABLE raw.rejected ENABLE ROW LEVEL SECURITY;
CREATE POLICY row_access ON raw.rejected FOR SELECT USING (
    (SELECT current_user) <> 'meterway_dashboard'
    OR (tenant_id = (SELECT nullif(current_setting('meterway.tenant_id', true), ''))
        AND coalesce((SELECT current_setting('meterway.customer_id', true)), '') = ''));

-- A channel is as visible as its device.
ALTER TABLE raw.device_channels ENABLE ROW LEVEL SECURITY;
CREATE POLICY row_access ON raw.device_channels FOR SELECT USING (
    (SELECT current_user) <> 'meterway_dashboard'
    OR EXISTS (SELECT FROM raw.devices WHERE devices.device_id = device_channels.device_id));
