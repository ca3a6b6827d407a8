"""The site is built, strictly, and needs nothing from elsewhere."""

import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import click
import pytest

from tests.docs.commands import ROOT, SCRIPTS, command_named
from tests.docs.manual import MANUAL, pages
from tests.docs.reference import REFERENCE, reference
from tests.docs.shown import PAGES
from tests.docs.tables import DOCS


def test_every_page_is_there_and_links_lead_to_it(site: Path) -> None:
    """Links that leave the site are left out by its hook; those within it were checked by MkDocs."""
    pages = {path.parent.relative_to(site).as_posix() for path in site.rglob("index.html")}
    assert pages >= {path.stem for path in DOCS.glob("*.md")} - {"index"} | {
        "changelog",
        "security",
        "reference/commands",
    }
    home = (site / "index.html").read_text(encoding="utf-8")
    assert {"operations/", "labels/", "model/", "fresh/", "training/"} <= set(re.findall(r'href="([\w-]+/)"', home))


def test_the_reference_is_fresh() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == reference(), "run `make docs`"


def test_the_reference_has_every_option(site: Path) -> None:
    page = (site / "reference" / "commands" / "index.html").read_text(encoding="utf-8")
    shown = re.sub("<[^>]+>", "", page)
    for name in SCRIPTS:
        for option in options_of(command_named(name)):
            assert re.search(rf"{max(option.opts, key=len)}(?![\w-]).*: \w", shown), option.opts
    assert "0<x<=1" in unescape(shown)


def test_the_site_is_dark_where_the_reader_wants_it(site: Path) -> None:
    """The theme looks at the system's preference only if the page has its switch."""
    home = (site / "index.html").read_text(encoding="utf-8")
    media = re.findall(r'data-md-color-media="([^"]*)"[^>]*name="__palette"', re.sub(r"\s+", " ", home))
    assert media == [f"(prefers-color-scheme{scheme})" for scheme in ("", ": light", ": dark")]


def test_every_page_is_in_the_menu(site: Path) -> None:
    """A page that only a link leads to is found by nobody."""
    home = (site / "index.html").read_text(encoding="utf-8")
    pages = {path.parent.relative_to(site).as_posix() for path in site.rglob("index.html")} - {"."}
    assert pages <= {target.rstrip("/") for target in re.findall(r'<a href="([\w/-]+/)" class="md-nav__link"', home)}


def test_options_are_not_broken_at_their_hyphens(site: Path) -> None:
    text = (site / "threshold" / "index.html").read_text(encoding="utf-8")
    assert '<code><span class="word">--target-precision</span> 0.95</code>' in text
    assert '<span class="word">' not in "".join(re.findall(r"<pre>.*?</pre>", text, re.DOTALL))


def test_lists_are_lists(site: Path) -> None:
    """Code hosts take a list without a blank line before it for one, and the site does not."""
    for page in site.rglob("index.html"):
        assert not re.search(r"<p>[^<]*\n- ", page.read_text(encoding="utf-8")), page


def test_names_of_fields_are_whole_in_tables(site: Path) -> None:
    text = (site / "report" / "index.html").read_text(encoding="utf-8")
    assert '<code><span class="word">papers.disagreements</span></code>' in text
    assert '<code><span class="cell-word">ro32_labels_timestamp_seconds</span></code>' in text


@pytest.mark.parametrize("page", [page for page in PAGES if page != "README.md"])
def test_pictures_are_on_the_site(page: str, site: Path) -> None:
    stem = page.lower().removesuffix(".md")
    text = (site / ("" if stem == "index" else stem) / "index.html").read_text(encoding="utf-8")
    shown = re.findall(r'<img alt="[^"]*" src="([^"]+)"', text)
    assert len(shown) == len(re.findall(r"!\[[^\]]*\]\(", PAGES[page].read_text(encoding="utf-8")))
    assert all((site / stem / target).is_file() for target in shown)


def test_links_are_called_as_the_menu_calls_their_pages(site: Path) -> None:
    text = (site / "performance" / "index.html").read_text(encoding="utf-8")
    assert ">Decisions</a> lists" in text
    for page in site.rglob("*.html"):
        assert not re.search(r"<a href=[^>]*>[\w/]+\.md</a>", page.read_text(encoding="utf-8")), page


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'(?:src|<link[^>]*rel="stylesheet"[^>]*href)="(?:https?:)?//[^"]*"', text), page


def test_the_quickstart_fits_a_screen() -> None:
    assert len((DOCS / "index.md").read_text(encoding="utf-8").splitlines()) <= 45


def options_of(command: click.Command) -> list[click.Option]:
    """Return the options of a command and of its subcommands."""
    subs = command.commands.values() if isinstance(command, click.Group) else ()
    own = [parameter for parameter in command.params if isinstance(parameter, click.Option) and not parameter.hidden]
    return own + [option for sub in subs for option in options_of(sub)]


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_option_has_help_and_an_example(name: str) -> None:
    """An example is a place in a page where the option is used or spoken of; help texts that are shown do not count."""
    texts = [path.read_text(encoding="utf-8") for path in (*DOCS.glob("*.md"), ROOT / "README.md")]
    prose = re.sub(r"```console\n\$ ro32-\w+ --help\n.*?```", "", "\n".join(texts), flags=re.DOTALL)
    for option in options_of(command_named(name)):
        assert option.help, option.opts
        spoken_of = any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", prose) for word in option.opts)
        assert spoken_of, f"{name}: no page shows {option.opts}"


def test_every_command_has_an_example() -> None:
    for name in SCRIPTS:
        command = command_named(name)
        for each in (command, *(command.commands.values() if isinstance(command, click.Group) else ())):
            assert f"Example: {name}" in (each.help or ""), each.name


def test_manual_pages_are_fresh() -> None:
    expected = dict(pages())
    assert {path: path.read_text(encoding="utf-8") for path in MANUAL.glob("*.1")} == expected, "run `make docs`"


def test_manual_pages_are_sound() -> None:
    """By the formatter that `man` uses, where there is one."""
    for path in MANUAL.glob("*.1"):
        try:
            done = subprocess.run(
                ["groff", "-man", "-Tutf8", "-ww", "-z", str(path)], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            pytest.skip("no groff on this machine")
        assert done.stderr == "", path


def test_the_container_is_linted() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_container_gets_what_it_needs() -> None:
    """No engine runs here: what would go wrong in one is read off the two files."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    last = text[text.rindex("\nFROM ") :]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert "pip install" not in last
    (check,) = re.findall(r'HEALTHCHECK .* CMD \["(\S+)", "(\w+)", "(\S+)"\]', last)
    assert check[0] in SCRIPTS
    needed = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert all((ROOT / name).exists() for name in needed)
    assert {"ro32", "docs/man", "pyproject.toml", "constraints.txt", "README.md", "LICENSE", "NOTICE"} == set(needed)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_a_completion(python: Path, shell: str) -> None:
    for name in SCRIPTS:
        if name != "ro32-train":
            variable = f"_{name.upper().replace('-', '_')}_COMPLETE"
            if shell == "bash" or name == "ro32-score":
                assert variable in run_with(python, variable, f"{shell}_source", name)


def test_options_are_completed(python: Path) -> None:
    words = {"COMP_WORDS": "ro32-score --thr", "COMP_CWORD": "1"}
    found = run_with(python, "_RO32_SCORE_COMPLETE", "bash_complete", "ro32-score", **words)
    assert set(found.splitlines()) == {"plain,--threads", "plain,--threshold"}


def run_with(python: Path, variable: str, instruction: str, name: str, **more: str) -> str:
    """Run a command as a shell's completion does."""
    variables = os.environ | {variable: instruction, "PYTHONPATH": str(ROOT)} | more
    module = SCRIPTS[name].partition(":")[0]
    return subprocess.run([python, "-m", module], env=variables, capture_output=True, text=True, check=True).stdout


def test_citation_names_this_version() -> None:
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    assert f"\nversion: {version[1]}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
