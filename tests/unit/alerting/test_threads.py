import asyncio
import subprocess
import sys
import threading

import pytest

from infrawatch_alerting.sending.threads import BusyError, Threads


async def test_what_a_call_returns_or_raises_comes_back() -> None:
    threads = Threads(1)
    assert await threads.run("a", lambda: 7, 30.0) == 7
    with pytest.raises(ZeroDivisionError):
        await threads.run("a", lambda: 1 // 0, 30.0)
    assert await threads.run("a", lambda: 8, 30.0) == 8


async def test_a_call_that_hangs_keeps_its_place_and_no_other_s() -> None:
    threads, gate = Threads(1), threading.Event()
    with pytest.raises(TimeoutError):
        await threads.run("a", gate.wait, 0.05)
    with pytest.raises(BusyError):
        await threads.run("a", lambda: 7, 0.05)
    assert await threads.run("b", lambda: 7, 30.0) == 7
    gate.set()
    assert await threads.run("a", lambda: 7, 30.0) == 7


async def test_as_many_run_at_once_as_may() -> None:
    threads, gate, running = Threads(2), threading.Event(), threading.Semaphore(0)

    def call() -> None:
        running.release()
        gate.wait()

    calls = [asyncio.create_task(threads.run("a", call, 30.0)) for _ in range(3)]
    for _ in range(2):
        await asyncio.to_thread(running.acquire)
    assert not running.acquire(blocking=False)
    gate.set()
    await asyncio.gather(*calls)
    assert running.acquire(blocking=False)


async def test_one_that_is_cancelled_while_it_waits_takes_no_place() -> None:
    threads, gate = Threads(1), threading.Event()
    first = asyncio.create_task(threads.run("a", gate.wait, 30.0))
    await asyncio.sleep(0)
    second = asyncio.create_task(threads.run("a", lambda: 7, 30.0))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.set()
    await first
    assert await threads.run("a", lambda: 7, 30.0) == 7


def test_what_hangs_does_not_keep_the_process_from_ending() -> None:
    code = """
import asyncio, threading
from infrawatch_alerting.sending.threads import Threads
async def main():
    try:
        await Threads(1).run("a", threading.Event().wait, 0.05)
    except TimeoutError:
        print("ended")
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ("ended\n", "")
