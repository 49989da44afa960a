-- What somebody has answered for, of a run that was held: its definition, and the places that it may ask for.
ALTER TABLE runs ADD COLUMN approved TEXT;
