"""Milestone gates: pool, snapshot, true streams, snapshot; one verdict, a decision, promotion in order (playbook H)."""
