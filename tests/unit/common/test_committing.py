"""Which offsets are committed, and when: never one that takes a partition back, nor while the group is rebalanced."""

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

from batch_worlds import FakeConsumer, World
from infrawatch_common.consuming import _Span


async def test_offsets_of_partitions_that_moved_away_are_not_committed() -> None:
    world = World()
    world.consumer.owned = set()
    await world.handle(0)
    await world.under_test.drain()
    assert world.log == [("prepared", 0), ("written", 0)]


async def test_a_commit_that_a_rebalance_refuses_is_counted_and_survived() -> None:
    world = World()
    world.consumer.refuse = CommitFailedError("rebalanced")
    await world.handle(0)
    await world.under_test._settle()
    world.consumer.refuse = None
    await world.handle(1)
    await world.under_test.drain()
    assert world.log[-1] == ("committed", 2)
    assert world.metrics.commit_failures._value.get() == 1


async def test_a_batch_that_is_read_again_after_a_rebalance_takes_no_offset_back() -> None:
    world = World()
    for batch in ([0, 1], [2, 3], [0, 1], [2], [3, 4]):  # the third is read again, from where a rebalance began
        await world.handle(*batch)
    await world.under_test.drain()
    assert [entry for entry in world.log if entry[0] == "committed"] == [
        ("committed", 2),
        ("committed", 4),
        ("committed", 5),
    ]


async def test_a_batch_in_hand_takes_no_offset_back_that_another_member_has_taken_forward() -> None:
    world = World()
    await world.handle(0)
    await world.under_test._settle()
    world.consumer.last = 100
    await world.handle(5)
    await world.under_test.drain()
    assert ("committed", 6) not in world.log


async def test_a_partition_that_was_away_and_came_back_is_asked_about_although_the_batch_follows_the_last_one() -> None:
    world = World()
    await world.handle(0)
    await world.under_test._settle()
    world.consumer.last = 100  # another member's, while this one was suspended
    world.consumer.generation = 2
    await world.handle(1)
    await world.under_test.drain()
    assert ("committed", 2) not in world.log


async def test_what_is_written_while_the_group_is_rebalanced_is_committed_afterwards() -> None:
    world = World()
    await world.handle(0)
    await world.under_test._settle()
    world.consumer._performed_join_prepare = True
    world.consumer.generation = 2
    await world.handle(1, 2)
    await world.under_test._settle()
    assert world.log[-1] == ("written", 2)
    world.consumer._performed_join_prepare = False
    await world.under_test._checkpoint_when_idle()
    assert world.log[-1] == ("committed", 3)


async def test_a_rebalance_that_begins_while_the_broker_is_asked_for_the_last_commit_is_waited_for_too() -> None:
    world = World()

    async def committed(_partition: TopicPartition) -> int | None:
        world.consumer._performed_join_prepare = True
        return None

    world.consumer.committed = committed
    await world.handle(0)
    await world.under_test._settle()
    assert world.log[-1] == ("written", 0)
    world.consumer._performed_join_prepare = False
    world.consumer.committed = FakeConsumer(world.log).committed
    await world.under_test._checkpoint_when_idle()
    assert world.log[-1] == ("committed", 1)


async def test_batches_that_follow_each_other_are_committed_without_a_question() -> None:
    world = World()
    for number in range(5):
        await world.handle(number)
    await world.under_test.drain()
    assert world.consumer.asked == 1


def test_of_a_span_the_rest_is_left_when_its_beginning_is_committed() -> None:
    assert _Span(0, 9).after(_Span(0, 4)) == _Span(4, 9)
    assert _Span(2, 9).after(_Span(0, 4)) == _Span(2, 9), "read again from elsewhere: the broker must be asked"
    assert _Span(0, 9).after(None) == _Span(0, 9)
