"""The only place that speaks to Sendcat: its functions, its endpoints, and load upon them."""
