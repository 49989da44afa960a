-- People: a password's hash, or who they are to a provider of OpenID Connect; what each may do, as JSON.
CREATE TABLE people (
    name TEXT PRIMARY KEY,
    password TEXT,
    subject TEXT UNIQUE,
    grants TEXT NOT NULL,
    disabled BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);
-- Whose a token is, and what it may at most, as JSON; empty: all that its owner may.
ALTER TABLE tokens ADD COLUMN owner TEXT;
ALTER TABLE tokens ADD COLUMN scopes TEXT;
UPDATE tokens SET owner = name WHERE kind = 'api';
