"""Faults A to H of the practice Sendcat: each shows its signal through the product's own reads, and clears only by
the right mitigation (the sandbox's fault catalogue)."""
