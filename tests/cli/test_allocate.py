"""`dockmesh allocate` as its users call it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dockmesh.cli.offline import allocate
from dockmesh.core.inventory import parse
from dockmesh.errors import UsageError

TEXT = "mesh: { pool: 10.128.0.0/12, prefix_length: 20 }\nhosts:\n  a: { address: 192.0.2.1 }  # first\n"


def call(file: Path, *options: str) -> Result:
    return CliRunner().invoke(allocate, [*options, "-i", str(file)], catch_exceptions=True)


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    file = tmp_path / "mesh.yml"
    file.write_text(TEXT)
    file.chmod(0o640)
    return file


def test_it_proposes_and_writes_nothing(mesh: Path) -> None:
    done = call(mesh)
    assert (done.exit_code, done.stdout) == (0, "a  10.128.0.0/20\n")
    assert "--write" in done.stderr
    assert mesh.read_text() == TEXT


def test_it_writes_where_the_file_is_and_a_second_time_finds_nothing_to_do(mesh: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yml"
    link.symlink_to(mesh)
    assert call(link, "--write").exit_code == 0
    assert mesh.read_text() == TEXT.replace("{ address", "{ prefix: 10.128.0.0/20, address")
    assert mesh.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert {each.name for each in tmp_path.iterdir()} == {"link.yml", "mesh.yml"}
    assert call(mesh, "--write").stdout == "nothing to allocate: every host with Docker has a prefix\n"


def test_json_is_one_document(mesh: Path) -> None:
    rows = [{"host": "a", "prefix": "10.128.0.0/20"}]
    expected = {"format": "dockmesh/allocate/1", "written": True, "allocations": rows}
    assert json.loads(call(mesh, "--json", "--write").stdout) == expected


@pytest.mark.parametrize(
    ("mesh_keys", "told"),
    [("name: x", "there is no mesh.pool to draw from"), ("pool: 10.0.0.0/24, prefix_length: 26", "left for 1 of 5")],
)
def test_without_a_pool_or_room_in_it_it_says_what_to_do_and_writes_nothing(
    tmp_path: Path, mesh_keys: str, told: str
) -> None:
    file = tmp_path / "mesh.yml"
    hosts = "".join(f"  h{at}: {{ address: 192.0.2.{at} }}\n" for at in range(1, 6))
    file.write_text(f"mesh: {{ {mesh_keys} }}\nhosts:\n{hosts}")
    before = file.read_text()
    done = call(file, "--write")
    assert isinstance(done.exception, UsageError)
    assert told in str(done.exception)
    assert file.read_text() == before


def test_a_fleet_of_a_thousand_is_written(tmp_path: Path) -> None:
    file = tmp_path / "mesh.yml"
    hosts = "".join(f"  h{at}:\n    address: 10.0.{at // 250}.{at % 250 + 1}\n" for at in range(1000))
    file.write_text(f"mesh: {{ pool: 10.128.0.0/9, prefix_length: 20 }}\nhosts:\n{hosts}")
    assert call(file, "--write").exit_code == 0
    assert all(host.prefix for host in parse(file.read_text(), file="mesh.yml").hosts)
