"""Everything that is neither Sendcat nor Slack: providers and their status pages, Sentry, GitHub. Each is optional."""
