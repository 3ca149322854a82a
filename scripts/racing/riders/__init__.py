"""Programs that race: each runs alone, on the peers' own Python, and imports nothing from here."""
