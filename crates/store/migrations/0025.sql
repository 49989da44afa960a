-- What many runs are told alike, once: what a library has, and the steps of a project. `uses` is how many rows name it; with the last of them it goes.
CREATE TABLE contents (
    digest TEXT PRIMARY KEY,
    uses BIGINT NOT NULL,
    content BYTEA NOT NULL
);
-- The content that belongs into an input and is not in its row.
ALTER TABLE inputs ADD COLUMN content TEXT;
-- Which run of a branch succeeded last, however many have not since.
CREATE INDEX runs_successful ON runs (project_id, branch, id) WHERE outcome = 'SUCCESS';
-- The content that is the steps of its project, as they lie in their folder; none: it has none.
ALTER TABLE runs ADD COLUMN steps TEXT;
