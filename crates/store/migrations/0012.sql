-- What a run says of itself: its name instead of its number, and more in words.
ALTER TABLE runs ADD COLUMN display_name TEXT;
ALTER TABLE runs ADD COLUMN description TEXT;
