-- Since when a branch is gone: what it has said of its runs' retention goes on for those that are left, and nothing else of it does.
ALTER TABLE properties ADD COLUMN gone_ms BIGINT;
