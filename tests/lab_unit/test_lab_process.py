import time

from dockmesh.lab.process import poll


def test_polling_slows_down_and_checks_once_more_at_the_end() -> None:
    checks: list[float] = []
    started = time.monotonic()

    def never() -> bool:
        checks.append(time.monotonic() - started)
        return False

    assert not poll(never, 1.0)
    assert checks[-1] >= 1.0
    assert len(checks) < 40, "a check every 20 ms would make 50"


def test_slow_checks_take_at_most_half_of_the_time() -> None:
    checks: list[float] = []

    def never() -> bool:
        checks.append(time.monotonic())
        time.sleep(0.1)
        return False

    assert not poll(never, 1.0)
    assert len(checks) <= 7, "without pauses, ten"


def test_polling_succeeds_once_the_condition_holds() -> None:
    answers = iter((False, False, True))
    assert poll(lambda: next(answers), 5)
