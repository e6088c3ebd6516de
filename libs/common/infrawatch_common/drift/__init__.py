"""What counts as drift: the content of snapshots, how two differ, and how much that matters (ADR 0017).

Pure: it uses the standard library, ``msgspec``, ``packaging`` and the event contract only.
"""
