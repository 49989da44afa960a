-- What a run's forge is to be told, where it is told anything: the word of its state that it has not heard yet.
ALTER TABLE runs ADD COLUMN reports BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN report TEXT;
CREATE INDEX runs_to_report ON runs (id) WHERE report IS NOT NULL;
