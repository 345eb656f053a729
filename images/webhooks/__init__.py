"""Webhooks, by Standard Webhooks 1.0.0: owed with the end of a job, sent by the worker."""
