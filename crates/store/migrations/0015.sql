-- How the content of a chunk is packed: 0: a line of JSON for each; 1: as postcard has them.
ALTER TABLE log_chunks ADD COLUMN format BIGINT NOT NULL DEFAULT 0;
