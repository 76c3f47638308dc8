"""The drill: planned here, run in a child process, reported honestly.

`planning.plan_drill` says what will be done, `parent.drill` does it and reports; the secrets go apart
(`credentials.drill_secrets`). Nothing is imported here: the child, ``python -m bot.sendcat.load``, starts as
fast as its own modules do.
"""
