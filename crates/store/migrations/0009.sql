-- What a run turned out to need of its agent, as JSON; before anything is known of it, its trust says what.
ALTER TABLE runs ADD COLUMN needs TEXT;
