"""Jump hosts with many hosts behind them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from dockmesh.core.model import Login
from dockmesh.remote.ssh.config import SshConfig
from dockmesh.remote.ssh.connect import Connections
from dockmesh.remote.ssh.jump_host import JumpHost


@dataclass
class Bastion:
    is_connected: bool = False


def opening(*, well: bool) -> tuple[list[Bastion], Callable[[Bastion], None]]:
    tried: list[Bastion] = []

    def connect(bastion: Bastion) -> None:
        tried.append(bastion)
        if not well:
            raise TimeoutError("no answer")
        bastion.is_connected = True

    return tried, connect


def outcomes(gateway: JumpHost, connect: Callable[[Bastion], None]) -> list[type]:
    def attempt(_number: int) -> type:
        try:
            gateway.open(connect, 60)  # type: ignore[arg-type]
        except TimeoutError as error:
            return type(error)
        return type(None)

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(attempt, range(20)))


@pytest.mark.parametrize(("well", "outcome"), [(True, type(None)), (False, TimeoutError)])
def test_twenty_hosts_share_one_login_or_one_failure(well: bool, outcome: type) -> None:
    tried, connect = opening(well=well)
    assert outcomes(JumpHost(Bastion()), connect) == [outcome] * 20  # type: ignore[arg-type]
    assert len(tried) == 1


def test_a_failed_jump_host_is_tried_again_later() -> None:
    tried, connect = opening(well=False)
    gateway = JumpHost(Bastion())  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(TimeoutError):
            gateway.open(connect, 0)  # type: ignore[arg-type]
    assert len(tried) == 2


def test_hosts_with_equal_settings_share_their_jump_hosts(tmp_path: Path) -> None:
    connections = Connections(SshConfig([str(tmp_path / "none")]), timeout_s=5)
    one, two, other = (
        connections.prepare(Login(address=address, user=user, jump="admin@bastion", netns=netns)).gateway
        for address, user, netns in (
            ("192.0.2.1", "root", None),
            ("192.0.2.2", "admin", None),
            ("192.0.2.3", None, "x"),
        )
    )
    assert one is two
    assert one is not other
