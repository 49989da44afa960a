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
-- Runs that somebody had asked for were protected whatever they were of. What was asked for by the name of a branch stays as far as a member could
-- have pushed it; all else that somebody named is anybody's.
UPDATE runs SET trust = CASE WHEN revision LIKE 'refs/heads/%' OR revision LIKE 'refs/tags/%' OR revision NOT LIKE 'refs/%' AND LENGTH(revision) < 40
    THEN 'member' ELSE 'stranger' END
    WHERE trust = 'protected' AND revision IS NOT NULL AND facts LIKE '%hudson.model.Cause$UserIdCause%';
