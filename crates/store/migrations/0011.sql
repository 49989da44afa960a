-- What definitions say of their projects: of each branch, what its last run has said.
CREATE TABLE properties (
    project_id BIGINT NOT NULL REFERENCES projects (id),
    branch TEXT NOT NULL,
    run_id BIGINT NOT NULL,
    said TEXT NOT NULL,
    PRIMARY KEY (project_id, branch)
);
CREATE INDEX runs_of_revision ON runs (project_id, revision, id);
