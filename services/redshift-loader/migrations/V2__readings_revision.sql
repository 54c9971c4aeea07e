-- Null for rows of the live lane, else the number of the replay that judged the reading again.
ALTER TABLE raw.readings ADD COLUMN revision bigint;
