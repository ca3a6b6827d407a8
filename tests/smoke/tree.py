"""A clone of the project as it is here now, and commands that run in it."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def copy_tree(place: Path, *, mode: int | None = None) -> None:
    """Copy every tracked file into a new folder.

    Args:
        place: The folder.
        mode: Permissions of all files; None keeps theirs.
    """
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, place / name)
            (place / name).chmod((ROOT / name).stat().st_mode if mode is None else mode)


def run(*command: str | Path, folder: Path, environment: dict[str, str] | None = None) -> str:
    """Run a command to its successful end and return what it wrote to stdout and stderr."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout
