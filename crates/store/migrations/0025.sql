-- What many runs are told alike, once: what a library has. `uses` is how many inputs name it; with the last of them it goes.
CREATE TABLE contents (
    digest TEXT PRIMARY KEY,
    uses BIGINT NOT NULL,
    content BYTEA NOT NULL
);
-- The content that belongs into an input and is not in its row.
ALTER TABLE inputs ADD COLUMN content TEXT;
