-- What runs have that no other may have meanwhile (`lock`), and who waits for it. Names: a list, as JSON. Who has it has `held` 1.
CREATE TABLE locks (
    space TEXT NOT NULL,
    run_id BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    request BIGINT NOT NULL,
    wish TEXT NOT NULL,
    asked_ms BIGINT NOT NULL,
    held BIGINT NOT NULL,
    PRIMARY KEY (run_id, request)
);
CREATE INDEX locks_of_space ON locks (space, held);
-- How far a run has come (`milestone`); none: to no such place.
ALTER TABLE runs ADD COLUMN milestone BIGINT;
