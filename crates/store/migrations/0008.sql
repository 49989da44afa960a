-- The number that GitHub gave to the check of a run.
ALTER TABLE runs ADD COLUMN check_id BIGINT;
