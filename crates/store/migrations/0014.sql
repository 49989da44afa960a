-- Remarks of runs on lines of files.
CREATE TABLE annotations (
    run_id BIGINT NOT NULL REFERENCES runs (id),
    seq BIGINT NOT NULL,
    -- In JSON.
    annotation TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
);
