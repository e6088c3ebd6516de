"""Bodies of requests (pydantic) and of answers (msgspec, which encodes four times as fast).

Requests with a field that is not in their model are refused, so that nobody sets what is not theirs to set.
"""
