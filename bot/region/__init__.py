"""Region readiness: what it is judged from, its artifact, its card, and what a decision on it rests on."""
