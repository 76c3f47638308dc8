"""A canary: control and candidate side by side under the same load (VERDICTS, "Canary")."""
