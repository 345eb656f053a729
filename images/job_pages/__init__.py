"""The customer's page about jobs: what runs, what waits, what came of the others."""
