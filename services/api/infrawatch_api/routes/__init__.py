"""HTTP in, domain and store, HTTP out; no rules here."""
