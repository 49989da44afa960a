-- Why a run is given to nobody until somebody approves it; empty where it is free.
ALTER TABLE runs ADD COLUMN held TEXT;
