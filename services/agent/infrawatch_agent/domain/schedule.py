"""When the next collection is due."""


def next_tick(start: float, interval: float, now: float) -> float:
    """The first multiple of ``interval`` after ``start`` that lies after ``now``; monotonic seconds.

    Ticks that passed while the machine slept or was busy are left out, not made up for.
    """
    return start + (int((now - start) // interval) + 1) * interval
