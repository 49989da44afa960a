-- What runs have stashed for their later jobs. Their bytes are blobs, as those of artifacts; a run that begins in the middle of another has
-- what that one had stashed, so that several may have one blob.
CREATE TABLE stashes (
    run_id BIGINT NOT NULL REFERENCES runs (id),
    path TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    key TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (run_id, path)
);
CREATE INDEX stashes_by_key ON stashes (key);
-- Sandboxes that a run has now, as far as its engine knows. NULL: of a run that was begun before, nobody has counted.
ALTER TABLE runs ADD COLUMN places BIGINT;
-- What it needs of another agent, in JSON, once it is about to leave the one that has it.
ALTER TABLE runs ADD COLUMN leaves TEXT;
