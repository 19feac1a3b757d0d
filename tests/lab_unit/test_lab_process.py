import time

from dockmesh.lab.process import poll


def test_a_wait_looks_at_once_then_more_and_more_seldom_and_a_last_time_at_its_end() -> None:
    looks: list[float] = []
    begun = time.monotonic()

    def never() -> bool:
        looks.append(time.monotonic() - begun)
        return False

    assert not poll(never, 1.0)
    assert looks[-1] >= 1.0
    assert len(looks) < 40, "every 20 ms it would be 50 times"


def test_what_becomes_true_in_time_is_true() -> None:
    answers = iter((False, False, True))
    assert poll(lambda: next(answers), 5)
