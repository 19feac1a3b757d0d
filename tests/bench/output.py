"""Output files of a run."""

import json
import subprocess
import sys
from pathlib import Path

from tests.bench.options import Options


def write(result: dict[str, object], options: Options, name: str, plot: Path) -> None:
    """Write NAME.json, and NAME.svg with the script `plot`, which runs with the Python of the rivals."""
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / f"{name}.json"
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    python = options.tools / "python"
    if not python.exists():
        sys.stderr.write("no plot: matplotlib is not installed\n")
        return
    subprocess.run((python, plot, file, file.with_suffix(".svg")), check=False)
    sys.stderr.write(f"{file}, {file.with_suffix('.svg')}\n")
