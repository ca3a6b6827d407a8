"""No code of ours runs what a file says: no pickle is read, and no model brings code of its own."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "bench" / "throughput"
"""Runs what others make of a checkpoint of ours, the way that they do it, in an environment apart."""
SOURCES = sorted(
    path
    for folder in ("ro32", "export", "bench")
    for path in (ROOT / folder).rglob("*.py")
    if not path.is_relative_to(PEERS)
)
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
"""Modules whose `load` runs code."""
LOADERS = {("torch", "load"), ("np", "load"), ("numpy", "load"), ("pd", "read_pickle"), ("pl", "deserialize")}
"""Functions of others that unpickle, at once or when asked to."""


def complaints(source: str) -> Iterator[str]:
    """Yield what in a module would run, or let others run, code that a file brings."""
    nodes = list(ast.walk(ast.parse(source)))
    tensors_alone = {id(node.func) for node in nodes if isinstance(node, ast.Call) and _reads_tensors_alone(node)}
    for node in nodes:
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name.partition(".")[0] in PICKLES)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in PICKLES:
                yield module
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if (owner, name) in LOADERS and id(
                node
            ) not in tensors_alone:
                yield f"{owner}.{name}"
            case ast.keyword(arg="trust_remote_code" | "allow_pickle" as name, value=value) if not _is(
                value, wanted=False
            ):
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="from_pretrained"), keywords=keywords):
                given = {keyword.arg: keyword.value for keyword in keywords}
                if not _is(given.get("trust_remote_code"), wanted=False):
                    yield f"{owner}.from_pretrained without trust_remote_code=False"
                if "Model" in owner and not _is(given.get("use_safetensors"), wanted=True):
                    yield f"{owner}.from_pretrained without use_safetensors=True"
            case ast.Name(id="eval" | "exec" as name) | ast.Constant(value="trust_remote_code" as name):
                yield name


def _reads_tensors_alone(call: ast.Call) -> bool:
    return any(keyword.arg == "weights_only" and _is(keyword.value, wanted=True) for keyword in call.keywords)


def _is(value: ast.expr | None, *, wanted: bool) -> bool:
    return isinstance(value, ast.Constant) and value.value is wanted


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_can_bring_code(path: Path) -> None:
    assert list(complaints(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import joblib.numpy_pickle",
        "from pickle import loads",
        "torch.load(path)",
        "read = np.load",
        "load(path, allow_pickle=True)",
        "AutoTokenizer.from_pretrained(folder)",
        "AutoTokenizer.from_pretrained(folder, trust_remote_code=allowed)",
        "AutoModel.from_pretrained(folder, trust_remote_code=False)",
        "AutoModel.from_pretrained(folder, trust_remote_code=True, use_safetensors=True)",
        "options['trust_remote_code'] = True",
        "eval(text)",
    ],
)
def test_the_search_finds_what_it_is_for(source: str) -> None:
    assert list(complaints(source)) != []


def test_the_search_goes_through_the_whole_project() -> None:
    names = {str(path.relative_to(ROOT)) for path in SOURCES}
    assert {"ro32/run/walk.py", "ro32/train/encoder.py", "ro32/evaluation/checkpoint.py"} <= names
