"""Generated contracts are those of the code."""

from pathlib import Path

from generate import HERE, contracts


def test_every_generated_contract_is_committed_as_the_code_has_it() -> None:
    for path, content in contracts().items():
        assert (HERE / path).read_text(encoding="utf-8") == content, f"schemas/{path}: run 'make contracts'"


def test_nothing_lies_beside_the_generated_contracts() -> None:
    generated = {HERE / path for path in contracts()}
    found: set[Path] = {path for folder in ("asyncapi", "openapi") for path in (HERE / folder).glob("*.json")}
    assert found <= generated
