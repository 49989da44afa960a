-- What went wrong with a run that has ended, in a word (`workload`, `infrastructure`, `timeout` …), where something did and is known.
ALTER TABLE runs ADD COLUMN failure TEXT;
-- The last that has failed, say, is found however many others are newer.
CREATE INDEX runs_unusual ON runs (project_id, outcome, id) WHERE outcome <> 'SUCCESS';
-- Which run of a branch ended last, however many wait.
CREATE INDEX runs_ended ON runs (project_id, branch, id) WHERE outcome IS NOT NULL;
