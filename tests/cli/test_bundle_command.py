"""`ro32-bundle`: what is at hand, what it is worth, and how another gets there."""

import gzip
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ro32.cli.bundles import command
from ro32.cli.score import command as score_command
from ro32.data.labels import read_provenance
from ro32.model import origins
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import MANIFEST, MODEL, TOKENIZER, sha256
from ro32.model.publish import publish
from tests.command_line import Invoke, Outcome, Score
from tests.forged import forged_manifest

Call = Callable[..., Outcome]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store, where the command looks for one."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "ro32" / "bundles"


@pytest.fixture
def call(invoke: Invoke, store: Path) -> Call:
    assert not store.exists()
    return lambda *args: invoke(command, args)


def pack(bundle: Path, path: Path, prefix: str = "bundle/") -> Path:
    """Pack a bundle folder as the suffix says."""
    files = sorted(bundle.iterdir())
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, f"{prefix}{file.name}")
        return path
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in files:
            archive.add(file, f"{prefix}{file.name}")
    compressors: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress}
    path.write_bytes(compressors.get(path.suffix, bytes)(buffer.getvalue()))
    return path


@pytest.mark.parametrize("form", ["folder", "a.tar", "a.tar.gz", "a.tar.xz", "a.zip", "flat.zip"])
def test_a_bundle_is_installed_listed_and_scores(
    form: str, call: Call, invoke: Invoke, tiny_bundle: Path, store: Path, source: Path, tmp_path: Path
) -> None:
    origin = tiny_bundle
    if form != "folder":
        origin = pack(tiny_bundle, tmp_path / form, "" if form.startswith("flat") else "deep/er/")
    digest = Bundle.load(tiny_bundle).digest
    done = call("install", origin, "--name", "tiny", "--digest", digest.upper())
    assert (done.code, done.stdout) == (0, f"{store / 'tiny'}: {Bundle.load(tiny_bundle).manifest.name}, {digest}\n")
    assert {path.name for path in store.iterdir()} == {"tiny"}
    assert [line.split()[0] for line in call("list").stdout.splitlines()] == ["name", "cs.RO", "tiny"]
    target = tmp_path / "labels.parquet"
    assert invoke(score_command, [source, "-o", target, "--bundle", "tiny"]).code == 0
    assert (read_provenance(target) or {})["bundle_digest"] == digest


def test_a_name_is_taken_once(call: Call, tiny_bundle: Path, store: Path) -> None:
    assert call("install", tiny_bundle).code == 0
    again = call("install", tiny_bundle)
    assert again.code == 73
    assert "--overwrite" in again.stderr
    assert call("install", tiny_bundle, "--overwrite").code == 0
    assert len(list(store.iterdir())) == 1


def test_a_name_may_be_too_long(call: Call, tiny_bundle: Path) -> None:
    done = call("install", tiny_bundle, "--name", 250 * "a")
    assert (done.code, "File name too long; nothing was published" in done.stderr) == (73, True), done.stderr


@pytest.mark.parametrize("name", ["../up", ".hidden", "a/b", ""])
def test_a_name_is_no_path(name: str, call: Call, tiny_bundle: Path, store: Path) -> None:
    assert call("install", tiny_bundle, "--name", name).code == (2 if name else 0)  # no name is the bundle's own
    assert {path.name for path in store.parents[2].rglob("*")} & {"up", ".hidden", "b"} == set()


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def entry(name: str, **changes: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for attribute, value in changes.items():
        setattr(info, attribute, value)
    return info


@pytest.fixture
def evil(tiny_bundle: Path, tmp_path: Path) -> dict[str, bytes]:
    """Archives that want something else than to be installed."""
    files = {path.name: path.read_bytes() for path in tiny_bundle.iterdir()}
    good = [(entry(name), content) for name, content in files.items()]
    manifest = Bundle.load(tiny_bundle).manifest
    upwards = forged_manifest(tiny_bundle, files={**manifest.files, "../up": 64 * "0"})
    without_model = [item for item in good if item[0].name != "model.onnx"]
    shutil.copytree(tiny_bundle, tmp_path / "linked")
    (tmp_path / "linked" / "model.onnx").unlink()
    (tmp_path / "linked" / "model.onnx").symlink_to(tiny_bundle / "model.onnx")
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        for path in sorted((tmp_path / "linked").iterdir()):
            info = zipfile.ZipInfo(path.name)
            info.external_attr = (0o120777 if path.is_symlink() else 0o100644) << 16
            archive.writestr(info, str(path.readlink()) if path.is_symlink() else path.read_bytes())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("é", b"")
        for name, content in files.items():
            archive.writestr(name, content)
    misplaced = buffer.getvalue()
    return {
        "a link": tar_of(*without_model, (entry("model.onnx", type=tarfile.SYMTYPE, linkname="/etc/passwd"), b"")),
        "a hard link": tar_of(*without_model, (entry("model.onnx", type=tarfile.LNKTYPE, linkname="bundle.json"), b"")),
        "a zipped link": zipped.getvalue(),
        "a device": tar_of(*without_model, (entry("model.onnx", type=tarfile.CHRTYPE), b"")),
        "a name upwards": tar_of(
            (entry("bundle.json"), upwards), *((i, c) for i, c in good if i.name != "bundle.json")
        ),
        "two manifests": tar_of(*good, (entry("other/bundle.json"), files["bundle.json"])),
        "a file twice": tar_of(*good, (entry("model.onnx"), b"another")),
        "no manifest": tar_of((entry("model.onnx"), b"x")),
        "an altered file": tar_of(*without_model, (entry("model.onnx"), files["model.onnx"] + b"x")),
        "a missing file": tar_of(*without_model),
        "no archive": b"x" * 100,
        "a damaged gzip": b"\x1f\x8b\x09" + pack(tiny_bundle, tmp_path / "whole.tar.gz").read_bytes()[3:],
        "a name that is not text": misplaced.replace("é".encode(), b"\xff\xff"),
        "a directory before the beginning": misplaced[:-6] + b"\xff\xff\xff\x7f" + misplaced[-2:],
        "cut off": pack(tiny_bundle, tmp_path / "whole.tar.gz").read_bytes()[:5_000],
        "nothing": b"",
    }


EVIL = [
    *("a link", "a hard link", "a zipped link", "a device", "a name upwards", "two manifests", "a file twice"),
    *("no manifest", "an altered file", "a missing file", "no archive", "cut off", "nothing"),
    *("a damaged gzip", "a name that is not text", "a directory before the beginning"),
]


@pytest.mark.parametrize("kind", EVIL)
def test_what_an_archive_should_not_hold_is_refused(
    kind: str, evil: dict[str, bytes], call: Call, store: Path, tmp_path: Path
) -> None:
    assert set(EVIL) == set(evil)
    (tmp_path / "archive").write_bytes(evil[kind])
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(store.parents[1])}
    done = call("install", tmp_path / "archive")
    assert done.code == 78, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1  # a sentence
    assert list(store.iterdir() if store.exists() else ()) == []
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(store.parents[1])} == before


def test_a_name_upwards_beside_the_bundle_is_passed_over(
    call: Call, tiny_bundle: Path, store: Path, tmp_path: Path
) -> None:
    files = [(entry(path.name), path.read_bytes()) for path in tiny_bundle.iterdir()]
    (tmp_path / "archive").write_bytes(tar_of(*files, (entry("../../up"), b"x"), (entry("/etc/up"), b"x")))
    assert call("install", tmp_path / "archive", "--name", "a").code == 0
    assert {path.name for path in (store / "a").iterdir()} == {path.name for path in tiny_bundle.iterdir()}
    assert not list(tmp_path.rglob("up"))


def test_what_unpacks_to_too_much_is_refused(
    call: Call, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origins, "MAX_BYTES", 10_000)
    for name in ("a.zip", "a.tar.gz"):
        done = call("install", pack(tiny_bundle, tmp_path / name))
        assert done.code == 78
        assert "more than 10,000 bytes" in done.stderr


def bombs(folder: Path, bundle: Path) -> Iterator[Path]:
    """Write archives of a few MB that unpack to gigabytes."""
    files = [(entry(path.name), path.read_bytes()) for path in bundle.iterdir()]
    zeros = bytes(1 << 20)
    with gzip.open(folder / "large-member.tar.gz", "wb", compresslevel=1) as file:
        file.write(tar_of(*files)[: -tarfile.RECORDSIZE])
        member = entry("zeros")
        member.size = 3 << 30
        file.write(member.tobuf())
        for _ in range(600):
            file.write(zeros)
    yield folder / "large-member.tar.gz"
    with gzip.open(folder / "long-header.tar.gz", "wb", compresslevel=1) as file:
        member = entry("header")
        member.type, member.size = tarfile.XHDTYPE, 2 << 30
        file.write(member.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(600):
            file.write(zeros)
    yield folder / "long-header.tar.gz"
    with zipfile.ZipFile(folder / "large-member.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in bundle.iterdir():
            if path.name != "model.onnx":
                archive.write(path, path.name)
        with archive.open("model.onnx", "w") as model:
            for _ in range(600):
                model.write(zeros)
    yield folder / "large-member.zip"


def test_an_archive_that_unpacks_to_gigabytes_is_refused_in_little_memory(tiny_bundle: Path, tmp_path: Path) -> None:
    for bomb in bombs(tmp_path, tiny_bundle):
        done = subprocess.run(
            [sys.executable, "-c", PEAK, "install", bomb, "--store", tmp_path / "store"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 78, done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert int(done.stdout) < 400_000, bomb
        assert not (tmp_path / "store").exists()


PEAK = """
import sys
from pathlib import Path
from ro32.cli.bundles import command
from ro32.cli.process import exit_code_of
code = exit_code_of(command, sys.argv[1:])
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
sys.exit(code)
"""
"""The peak is in kB. That of getrusage would be the parent's until it is passed: exec hands it on."""


def test_another_digest_is_found_before_the_files_are_read(tmp_path: Path, tiny_bundle: Path, call: Call) -> None:
    (tmp_path / "manifest.tar").write_bytes(tar_of((entry("bundle.json"), (tiny_bundle / "bundle.json").read_bytes())))
    done = call("install", tmp_path / "manifest.tar", "--digest", 64 * "0")
    assert done.code == 78
    assert "it is another one" in done.stderr


@pytest.mark.parametrize(
    ("origin", "code", "message"),
    [
        ("nothing.tar", 66, "no such folder or archive"),
        ("hf:owner/name", 2, "a commit of 40 hex digits"),
        ("hf:owner/name@main", 2, "a commit of 40 hex digits"),
        ("hf:owner@" + 40 * "0", 2, "expected hf:owner/name@"),
        (".", 66, "bundle.json"),
    ],
)
def test_an_origin_that_is_none_is_refused(
    origin: str, code: int, message: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("install", origin)
    assert done.code == code, done.stderr
    assert message in done.stderr


def test_the_hub_needs_its_package(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "find_spec", lambda _: None)
    done = call("install", "hf:owner/name@" + 40 * "0")
    assert done.code == 2
    assert "pip install 'ro32[hub]'" in done.stderr


def test_a_hub_that_does_not_answer_says_nothing_of_the_bundle(python: Path, tmp_path: Path) -> None:
    """Nothing listens on port 9 here."""
    done = subprocess.run(
        [python, "-m", "ro32.cli.bundles", "install", "hf:owner/name@" + 40 * "0", "--store", tmp_path / "store"],
        env=os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 66, done.stderr
    assert "cannot be fetched" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_bundle_of_somebody_else_hides_no_other(tiny_bundle: Path, python: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "a").chmod(0o700)
    shutil.copytree(tiny_bundle, tmp_path / "b").chmod(0o755)
    tmp_path.chmod(0o755)
    listing = f"""
import os
from pathlib import Path
from ro32.model.installed import list_bundles
os.chdir({str(tmp_path)!r}), os.setgroups([]), os.setgid(65534), os.setuid(65534)
found, unusable = list_bundles(Path())
print(found[-1].name, unusable[-1])
"""
    done = subprocess.run([python, "-c", listing], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.startswith("b a/bundle.json: cannot be looked at: Permission denied"), done.stderr


@pytest.mark.parametrize("digest", ["", "5f4f28956307", f"sha256:{64 * '0'}"])
def test_a_part_of_a_digest_is_none(call: Call, tiny_bundle: Path, digest: str) -> None:
    done = call("install", tiny_bundle, "--digest", digest)
    assert (done.code, "expected a digest of 64 hex digits" in done.stderr) == (2, True), done.stderr


def test_another_digest_is_another_bundle(call: Call, tiny_bundle: Path, store: Path) -> None:
    done = call("install", tiny_bundle, "--digest", 64 * "0")
    assert done.code == 78
    assert not store.exists()


def test_show_prints_facts_and_card(call: Call, tiny_bundle: Path) -> None:
    shown = call("show", tiny_bundle).stdout
    assert (tiny_bundle / "README.md").read_text().rstrip() in shown
    assert Bundle.load(tiny_bundle).digest in shown
    facts = json.loads(call("show", tiny_bundle, "--json").stdout)
    assert facts["digest"] == Bundle.load(tiny_bundle).digest
    assert facts["threshold"] == Bundle.load(tiny_bundle).manifest.threshold
    assert json.loads(call("show", "--json").stdout)["quality"]["views"]["combined"]["f1"] > 0.8
    listed = json.loads(call("list", "--json").stdout)
    assert [item["name"] for item in listed] == ["cs.RO"]


def test_a_bundle_may_have_no_card(call: Call, tiny_bundle: Path, tmp_path: Path) -> None:
    plain = Bundle.load(tiny_bundle)
    files = {MODEL: plain.model, TOKENIZER: plain.tokenizer}
    digests = {name: sha256(content) for name, content in files.items()}
    publish(tmp_path / "new", {**files, MANIFEST: replace(plain.manifest, files=digests).to_bytes()}, overwrite=False)
    shown = call("show", tmp_path / "new")
    assert shown.code == 0, shown.stderr
    assert shown.stdout.splitlines()[-1].startswith("format_version ")


def test_verify_finds_what_was_altered(call: Call, tiny_bundle: Path, store: Path) -> None:
    call("install", tiny_bundle, "--name", "good")
    call("install", tiny_bundle, "--name", "bad")
    with (store / "bad" / "tokenizer.json").open("ab") as file:
        file.write(b"x")
    done = call("verify")
    assert done.code == 78
    lines = done.stdout.splitlines()
    assert [line.partition(": ")[2].startswith("not usable") for line in lines] == [
        False,
        True,
        False,
    ]  # shipped, bad, good
    assert call("verify", "good", tiny_bundle).code == 0
    assert call("show", "bad").code == 78
    assert call("verify", "cs.RO").code == 0


def test_a_name_that_nothing_has_is_reported(invoke: Invoke, store: Path, source: Path, tmp_path: Path) -> None:
    assert not store.exists()
    done = invoke(score_command, [source, "-o", tmp_path / "labels.parquet", "--bundle", "nothing"])
    assert done.code == 78
    assert "ro32-bundle list" in done.stderr


def test_version_names_the_bundle(invoke: Invoke) -> None:
    shipped = Bundle.shipped()
    for other in (command, score_command):
        text = invoke(other, ["--version"]).stdout
        assert text.startswith("ro32, version ")
        assert f"bundle {shipped.manifest.name}, cs.RO from " in text
        assert shipped.digest[:12] in text


def test_a_bundle_that_there_is_not_is_asked_after_by_the_nearest_name(
    call: Call, tiny_bundle: Path, source: Path, score: Score
) -> None:
    assert call("install", tiny_bundle, "--name", "cs.CV-large").code == 0
    for given, meant in (("cs.R0", "cs.RO"), ("cs.CV-lage", "cs.CV-large")):
        done = score(source, "-o", source.with_name("labels.parquet"), bundle=Path(given))
        assert done.code == 78
        assert f"no installed bundle; did you mean '{meant}'?" in done.stderr


HOMELESS = """
import os, pwd, sys
def unknown(uid):
    raise KeyError(uid)
pwd.getpwuid = unknown
"""
"""As a container whose user has no line in /etc/passwd."""


def without_home(python: Path, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "HOME" and not name.startswith("XDG_")}
    return subprocess.run(
        [python, "-c", HOMELESS + code],
        capture_output=True,
        text=True,
        env=environment | variables,
        check=False,
        timeout=60,
    )


def test_no_home_is_needed(python: Path, source: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    asked = [str(source), "-o", str(tmp_path / "labels.parquet"), "--bundle", str(tiny_bundle)]
    score = f"from ro32.cli.score import main; sys.argv[1:] = {asked!r}; main()"
    assert without_home(python, score).returncode == 0
    listing = "from ro32.cli.bundles import main; sys.argv[1:] = ['list']; main()"
    assert "cs.RO" in without_home(python, listing).stdout
    shutil.copytree(tiny_bundle, tmp_path / "ro32" / "bundles" / "mine")
    assert "mine" in without_home(python, listing, XDG_DATA_HOME=str(tmp_path)).stdout


def test_the_cache_of_training_needs_a_home_or_a_name(python: Path, tmp_path: Path) -> None:
    where = "from ro32.train.corpus import default_cache; print(default_cache())"
    assert without_home(python, where, XDG_CACHE_HOME=str(tmp_path)).stdout == f"{tmp_path}/ro32\n"
    refused = without_home(python, where)
    assert "UsageError" in refused.stderr
    assert "set HOME or XDG_CACHE_HOME" in refused.stderr


@pytest.mark.full
def test_training_without_a_place_for_its_cache_is_wrong_usage(python: Path) -> None:
    train = "from ro32.cli.train import main; sys.argv[1:] = ['--data', 'a.parquet', '--output', 'out']; main()"
    refused = without_home(python, train)
    assert refused.returncode == 2
    assert "set HOME or XDG_CACHE_HOME" in refused.stderr
