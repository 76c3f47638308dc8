"""Tuning changes, from proposal to evidence: bounded, approved, retested, undone (safety.md, R21-R28; VERDICTS.md)."""
