-- A chunk whose content is in a blob, with others: which one, and where in it. Those that are in their row have no key.
ALTER TABLE log_chunks ADD COLUMN key TEXT;
ALTER TABLE log_chunks ADD COLUMN at_byte BIGINT NOT NULL DEFAULT 0;
ALTER TABLE log_chunks ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
CREATE INDEX log_chunks_in_rows ON log_chunks (run_id, first_line) WHERE key IS NULL;
-- By which it is asked whose code a commit is, and whether it was let go.
CREATE INDEX runs_of_commit ON runs (project_id, commit_id) WHERE commit_id IS NOT NULL;
-- What waits and what is under way, in its order, however much there is of what has ended.
DROP INDEX runs_unfinished;
CREATE INDEX runs_unfinished ON runs (id) WHERE status <> 'done';
CREATE INDEX runs_queued ON runs (id) WHERE status = 'queued';
