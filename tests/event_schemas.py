"""The published schemas of events, as another system would use them."""

import json
from pathlib import Path

from jsonschema import Draft202012Validator, FormatChecker

SCHEMAS = Path(__file__).parents[1] / "schemas" / "events"


def validator(kind: str) -> Draft202012Validator:
    """The validator of a topic's bodies; ``kind`` is its name without ``infrawatch.``."""
    schema = json.loads((SCHEMAS / f"{kind}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())
