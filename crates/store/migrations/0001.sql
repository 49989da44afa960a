-- The same text for SQLite and PostgreSQL: ids are counted in a table, times are milliseconds since 1970, structures are JSON.
CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
CREATE TABLE projects (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    config TEXT NOT NULL,
    last_number BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE TABLE runs (
    id BIGINT PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id),
    number BIGINT NOT NULL,
    status TEXT NOT NULL,
    outcome TEXT,
    message TEXT,
    facts TEXT NOT NULL,
    revision TEXT,
    commit_id TEXT,
    trust TEXT NOT NULL,
    definition TEXT,
    abort_reason TEXT,
    epoch BIGINT NOT NULL,
    agent_id BIGINT,
    queued_ms BIGINT NOT NULL,
    started_ms BIGINT,
    ended_ms BIGINT,
    heard BIGINT NOT NULL,
    digest BIGINT NOT NULL,
    lines BIGINT NOT NULL,
    events BIGINT NOT NULL,
    reported BIGINT NOT NULL,
    UNIQUE (project_id, number)
);
CREATE INDEX runs_of_project ON runs (project_id, id);
CREATE INDEX runs_unfinished ON runs (status) WHERE status <> 'done';
CREATE TABLE deliveries (
    digest TEXT PRIMARY KEY,
    run_id BIGINT NOT NULL REFERENCES runs (id)
);
CREATE TABLE inputs (
    run_id BIGINT NOT NULL REFERENCES runs (id),
    seq BIGINT NOT NULL,
    taken_at BIGINT,
    input TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
);
CREATE TABLE requests (
    run_id BIGINT NOT NULL REFERENCES runs (id),
    id BIGINT NOT NULL,
    request TEXT NOT NULL,
    asked_ms BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    PRIMARY KEY (run_id, id)
);
CREATE TABLE events (
    run_id BIGINT NOT NULL REFERENCES runs (id),
    seq BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
);
CREATE TABLE log_chunks (
    run_id BIGINT NOT NULL REFERENCES runs (id),
    first_line BIGINT NOT NULL,
    lines BIGINT NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (run_id, first_line)
);
CREATE TABLE agents (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    key_digest TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    seen_ms BIGINT
);
CREATE TABLE tokens (
    digest TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT,
    used_ms BIGINT
);
CREATE TABLE audit (
    seq BIGINT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash TEXT NOT NULL
);
