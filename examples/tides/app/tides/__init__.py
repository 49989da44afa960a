"""High waters of a few harbours that are on no map."""
