-- What a run's commit is merged with before it is run, as JSON, and the tree that came of it.
ALTER TABLE runs ADD COLUMN merge TEXT;
ALTER TABLE runs ADD COLUMN tree TEXT;
CREATE INDEX runs_of_tree ON runs (project_id, tree) WHERE tree IS NOT NULL;
