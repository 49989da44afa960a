-- The number that GitHub gave to the check of a run.
ALTER TABLE runs ADD COLUMN check_id BIGINT;
-- Which server has the database, counted: whoever had it before writes nothing more. Not part of a backup.
CREATE TABLE server_epoch (value BIGINT NOT NULL);
INSERT INTO server_epoch (value) VALUES (0);
