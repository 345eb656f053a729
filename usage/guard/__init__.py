"""The guard: who asks for which API route, and may they? All that happens to a request before its view."""
