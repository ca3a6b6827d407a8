"""The steps of the Dockerfile, in a plain environment: no engine is needed to see that they work."""

import os
import re
import subprocess
import venv
from pathlib import Path

import pytest

from tests.smoke.tree import ROOT, copy_tree, run

pytestmark = pytest.mark.smoke

_, BUILD, RUN = (ROOT / "Dockerfile").read_text(encoding="utf-8").split("\nFROM ")


def context(folder: Path) -> None:
    """Copy what the engine is sent: what .dockerignore lets through."""
    copy_tree(folder.with_name("clone"))
    for name in re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        folder.with_name("clone").joinpath(name).rename(folder / name)


def test_the_steps_of_the_build_make_what_the_image_runs(tmp_path: Path) -> None:
    context(tmp_path / "source")
    venv.create(tmp_path / "python", with_pip=True)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    variables["PATH"] = f"{tmp_path / 'python' / 'bin'}:/usr/bin:/bin"
    variables |= dict(re.findall(r"^ENV (\w+)=(\S+)$", BUILD, re.MULTILINE))
    (step,) = re.findall(r"^RUN ((?:.*\\\n)*.*)$", BUILD, re.MULTILINE)
    step = re.sub(r"(?<![\w.])/(wheel|opt/ro32)\b", rf"{tmp_path}/\1", step)
    run("sh", "-c", step, folder=tmp_path / "source", environment=variables)
    for program in (*re.findall(r'^ENTRYPOINT \["(\S+)"\]', RUN, re.MULTILINE), "ro32-bundle"):
        path = tmp_path / "opt" / "ro32" / "bin" / program
        shown = subprocess.run(
            [path, "--help"], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
        )
        assert shown.stdout.startswith(f"Usage: {program}")


def test_what_is_copied_exists() -> None:
    """From the clone, or from the stage before."""
    copied = re.findall(r"^COPY (--from=build )?(\S+) ", f"{BUILD}\n{RUN}", re.MULTILINE)
    assert copied
    for stage, path in copied:
        assert path in BUILD if stage else (ROOT / path).exists(), path
