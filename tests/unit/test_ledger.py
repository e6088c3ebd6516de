"""The checker is able to fail."""

from ledger import compare


def test_an_acknowledged_record_that_is_nowhere_is_lost() -> None:
    verdict = compare(acknowledged=["a", "b"], attempted=["a", "b"], stored=["a"])
    assert verdict.lost == {"b"}
    assert not verdict.kept


def test_a_record_that_is_there_twice_is_doubled() -> None:
    verdict = compare(acknowledged=["a"], attempted=["a"], stored=["a", "a"])
    assert verdict.doubled == {"a"}
    assert not verdict.kept


def test_a_record_that_nobody_sent_is_unknown() -> None:
    assert compare(acknowledged=[], attempted=[], stored=["a"]).unknown == {"a"}


def test_an_unacknowledged_record_may_be_there_or_not() -> None:
    assert compare(acknowledged=["a"], attempted=["a", "b"], stored=["a", "b"]).kept
    assert compare(acknowledged=["a"], attempted=["a", "b"], stored=["a"]).kept
