"""The one package that writes to disk.

A step is one transaction that moves an operation, appends to the audit trail and adds to the outbox; effects happen
only between two such transactions (safety.md, decision 1). `Store.write` runs a function of a `Tx`; the functions
of `inbox`, `ops`, `audit`, `outbox`, `offers`, `artifacts`, `schedule` and `settings` combine inside it.
"""
