"""Every message and modal in every state, as golden files under tests/data/golden (ux.md, "Review list").

`test_golden.py` holds the table; beside it one module for each area yields its cards from the product's own functions,
out of fixed data at a fixed time. A new card: add a line to its area (or a module, and the module to `AREAS`), run

    .venv/bin/pytest -n 0 tests/golden --snapshot-update

look at the new file and at its picture (`.venv/bin/pytest -n 0 -m prove tests/golden`), and commit the file.
"""
