-- The branch, tag or pull request that a run is of, as its pipeline knows it (`BRANCH_NAME`): its runs are a job of their own.
ALTER TABLE runs ADD COLUMN branch TEXT;
UPDATE runs SET branch = SUBSTR(revision, 12) WHERE revision LIKE 'refs/heads/%' AND facts NOT LIKE '%"CHANGE_ID"%';
UPDATE runs SET branch = SUBSTR(revision, 11) WHERE revision LIKE 'refs/tags/%';
-- Among the runs of its project that wait the larger goes first; none: as its project says.
ALTER TABLE runs ADD COLUMN priority BIGINT;
CREATE INDEX runs_of_branch ON runs (project_id, branch, id);
