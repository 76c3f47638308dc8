"""The release gate: measured, judged, shown, bound, and stated in a signed passport (runbook, "Release gate")."""
