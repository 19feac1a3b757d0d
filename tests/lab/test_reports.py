"""Reports of `status` on a complete mesh and with one host cut off, and their difference."""

from pathlib import Path

from accidents import partitioned
from formats import Page, cases, gauges, junit, values, visible_text
from mesh import CommandResult, Mesh
from printed import Line, figures, line

from dockmesh.lab.running import Lab

FILES = {"--junit": "mesh.xml", "--markdown": "mesh.md", "--prometheus": "mesh.prom", "--html": "mesh.html"}


def status(mesh: Mesh, folder: Path, result: str) -> CommandResult:
    """A status that writes all reports, its document kept under a name of its own."""
    words = (word for option, name in FILES.items() for word in (option, str(folder / name)))
    done = mesh.dockmesh("status", "--json", "--timeout", "5", *words)
    (folder / result).write_text(done.stdout)
    return done


def reports(folder: Path) -> tuple[str, ...]:
    return tuple((folder / name).read_text() for name in FILES.values())


def test_the_reports_of_a_complete_mesh_are_valid_and_have_no_failure(joined: Mesh, tmp_path: Path) -> None:
    assert status(joined, tmp_path, "whole.json").status == 0
    xml, markdown, prometheus, html = reports(tmp_path)
    found = junit(xml)
    assert len(cases(found)) == 3 * 3 + 3
    assert not [*found.iter("failure"), *found.iter("error")]
    heading = visible_text(markdown).splitlines()[0]
    assert heading.startswith("✅ ")
    assert figures(heading) == ["21"]
    metrics = gauges(prometheus)
    assert values(metrics["dockmesh_status_ok"]) == {(): 1}
    assert values(metrics["dockmesh_host_up"], "host") == {("host1",): 1, ("host2",): 1, ("host3",): 1}
    seconds = values(metrics["dockmesh_probe_rtt_seconds"], "source", "target", "kind")
    assert len(seconds) == 21
    assert all(0 < each < 1 for each in seconds.values())
    data = Page(html).data
    assert [host["underlays"] for host in data["hosts"]] == [[f"192.168.18.{last}"] for last in (128, 129, 130)]
    assert len(data["probes"]) == 21 * 4
    assert data["causes"] == []


def test_reports_have_the_cause_of_a_cut_off_host_and_diff_the_loss(joined: Mesh, lab: Lab, tmp_path: Path) -> None:
    assert status(joined, tmp_path, "whole.json").status == 0
    with partitioned(lab, "host3"):
        cut = status(joined, tmp_path, "cut.json")
    assert cut.status == 3
    (error,) = (host["error"] for host in cut.document["hosts"] if host["error"])
    xml, markdown, prometheus, html = reports(tmp_path)
    failing = {name: case[0] for name, case in cases(junit(xml)).items() if len(case)}
    to_it, from_it = ("host1 to host3", "host2 to host3"), ("host3 to host1", "host3 to host2", "host3 to host3")
    assert set(failing) == {"host3 can be asked", *to_it, *from_it}
    assert failing["host3 can be asked"].attrib["message"] == error
    assert all(error in (failing[name].text or "") for name in (*to_it, *from_it))
    (point,) = (each for each in visible_text(markdown).splitlines() if each.startswith("host3") and error in each)
    assert figures(point.replace(error, "")) == ["11"]
    assert values(gauges(prometheus)["dockmesh_host_up"], "host")["host3",] == 0
    assert {"host": "host3", "reason": error} in Page(html).data["causes"]

    lost = joined.dockmesh("diff", str(tmp_path / "whole.json"), str(tmp_path / "cut.json"))
    assert lost.status == 3
    lines = lost.stdout.splitlines()
    assert lines[1].startswith("✗ host3 ")
    assert error in lines[1]
    assert figures(lines[1].replace(error, "")) == ["11"]
    lost_line = lines[2].partition(" (")[0]
    assert line(lost_line) == Line("✗", ("host1", "host2"), ("host3",), ("host-bridge",), ())
    assert figures(lines[3])[0] == "13"
    back = joined.dockmesh("diff", str(tmp_path / "cut.json"), str(tmp_path / "whole.json"))
    assert back.status == 0
    assert any(each.startswith("✓ host3 ") and "→" not in each for each in back.stdout.splitlines())
