-- What went wrong with a run that has ended, in a word (`workload`, `infrastructure`, `timeout` …), where something did and is known.
ALTER TABLE runs ADD COLUMN failure TEXT;
