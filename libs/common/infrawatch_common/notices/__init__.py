"""Telling people: which events a route or a silence means, how channels' secrets are kept, where messages may go."""
