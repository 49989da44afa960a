-- Files that runs have archived. Their bytes are blobs, which lie elsewhere.
CREATE TABLE artifacts (
    run_id BIGINT NOT NULL REFERENCES runs (id),
    path TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    key TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (run_id, path)
);
-- How much of it each run has.
ALTER TABLE runs ADD COLUMN artifact_files BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN artifact_bytes BIGINT NOT NULL DEFAULT 0;
-- Blobs that may be there and that nothing refers to: what is being written, what was replaced or forgotten, what nobody came back for.
CREATE TABLE spare_blobs (
    key TEXT PRIMARY KEY,
    at_ms BIGINT NOT NULL
);
