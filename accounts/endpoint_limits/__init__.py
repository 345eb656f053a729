"""Endpoint limits: how often one address may ask for a page or a route that is counted apart."""
