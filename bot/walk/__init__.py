"""Playbooks as walks: what is read for a page, the checks it names, its card, and what its steps do."""
