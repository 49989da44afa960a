-- What runs have reported of tests. `test` is a digest of class and name: the same test in the next run.
CREATE TABLE tests (
    run_id BIGINT NOT NULL REFERENCES runs (id),
    seq BIGINT NOT NULL,
    project_id BIGINT NOT NULL,
    test TEXT NOT NULL,
    class TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    ms BIGINT NOT NULL,
    message TEXT,
    detail TEXT,
    PRIMARY KEY (run_id, seq)
);
CREATE INDEX tests_by_test ON tests (project_id, test, run_id);
CREATE INDEX tests_not_passed ON tests (run_id, status, seq) WHERE status <> 'passed';
ALTER TABLE runs ADD COLUMN tests_failed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN tests_skipped BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN tests_passed BIGINT NOT NULL DEFAULT 0;
