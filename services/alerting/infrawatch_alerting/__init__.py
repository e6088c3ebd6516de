"""Alerting: judges every sample by the rules for its host, once, by event time."""
