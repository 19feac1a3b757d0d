"""Which containers a restart of Docker starts again."""

from time import process_time

from dockmesh.core.facts.docker import Container
from dockmesh.core.planning.stopped_containers import StoppedContainers, stopped_containers


def container(name: str, *needs: str, auto_remove: bool = False) -> Container:
    return Container(f"id-{name}", name, auto_remove, None, needs=frozenset(needs))


def test_without_running_containers_nothing_is_stopped() -> None:
    assert stopped_containers([]) == StoppedContainers()


def test_containers_that_need_a_removed_one_are_not_started() -> None:
    running = [
        container("third", "id-second"),
        container("second", "first"),
        container("first", "id-job"),
        container("job", auto_remove=True),
        container("other", "id-web"),
        container("web"),
        container("brief", "id-job", auto_remove=True),
    ]
    assert stopped_containers(running) == StoppedContainers(
        restarted=("other", "web"), removed=("job", "brief"), not_started=("third", "second", "first")
    )


def test_containers_that_need_each_other_are_restarted() -> None:
    running = [container("a", "id-b"), container("b", "id-a")]
    assert stopped_containers(running).restarted == ("a", "b")


def test_the_time_for_a_chain_of_containers_grows_with_its_length() -> None:
    chain = [container("0", auto_remove=True), *(container(str(n), f"id-{n - 1}") for n in range(1, 100_000))]
    start = process_time()
    assert len(stopped_containers(chain).not_started) == 99_999
    assert process_time() - start < 5
