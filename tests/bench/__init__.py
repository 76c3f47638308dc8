"""Figures with their peers, measured side by side in one run: `make bench`."""
