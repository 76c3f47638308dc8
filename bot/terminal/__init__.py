"""The terminal door: the same operations, the same results, drawn with rich (INTERFACES.md, section 2)."""
