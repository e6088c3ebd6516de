"""The database schema: every change to it, in order."""
