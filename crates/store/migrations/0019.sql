-- From when on a run that waits for an agent with what it needs goes to any: time has passed that its engine is to hear of.
ALTER TABLE runs ADD COLUMN wakes_ms BIGINT;
