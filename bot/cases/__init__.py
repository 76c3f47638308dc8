"""What a person decides on: a case, who may decide it, what it is bound to, and how it stands (safety.md, R9-R11)."""
