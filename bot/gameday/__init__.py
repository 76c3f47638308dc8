"""Game days: probe, drills, a fault woven in on practice, findings with owners."""
