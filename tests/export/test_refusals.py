"""What is not the checkpoint is not published: each kind of mismatch, provoked where it could happen."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file
from transformers import FNetConfig, FNetForSequenceClassification, MPNetConfig, MPNetForSequenceClassification

from export import build
from export.__main__ import command as export_command
from export.build import Report
from export.compare import classifier_of, tokenize
from export.convert import convert, quantize
from export.measure import score_all
from export.papers import read_papers
from export.verify import Mismatch, MismatchError
from ro32.cli.evaluate import command as evaluate
from ro32.errors import BundleError
from ro32.evaluation.checkpoint import Checkpoint
from ro32.evaluation.checkpoint_model import CheckpointModel
from ro32.evaluation.weights import load_model
from ro32.model.bundle_json import Manifest
from tests.command_line import Invoke
from tests.export.conftest import export

Altered = Callable[..., Path]


@pytest.fixture
def refused(few_path: Path, tmp_path: Path) -> Callable[[Path], MismatchError]:
    """Export a checkpoint, and see that it is refused and leaves nothing."""

    def call(checkpoint: Path) -> MismatchError:
        target = tmp_path / "published" / "bundle"
        target.parent.mkdir()
        with pytest.raises(MismatchError) as caught:
            export(checkpoint, target, few_path, verify_papers=200, measure_papers=500, threads=2)
        assert list(target.parent.iterdir()) == []
        assert caught.value.exit_code == 78
        assert caught.value.kind in str(caught.value)
        return caught.value

    return call


def alter_weight(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """Change the largest float matrix of an ONNX file in place."""
    model = onnx.load(path)
    weights = [item for item in model.graph.initializer if item.data_type == onnx.TensorProto.FLOAT]
    largest = max(weights, key=lambda item: int(np.prod(item.dims)))
    largest.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(largest)), largest.name))
    onnx.save(model, path)
    return path


def test_a_weight_altered_after_conversion(
    checkpoint: Checkpoint, refused: Callable[[Path], MismatchError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "convert", lambda *args: alter_weight(convert(*args), lambda weight: weight * 1.01))
    assert refused(checkpoint.folder).kind is Mismatch.TOLERANCE


def test_weights_that_are_not_numbers(altered: Altered, refused: Callable[[Path], MismatchError]) -> None:
    folder = altered()
    weights = load_file(folder / "model.safetensors")
    weights["classifier.weight"] = np.full_like(weights["classifier.weight"], np.nan)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert refused(folder).kind is Mismatch.NOT_FINITE


def test_label_names_swapped_in_the_checkpoint(
    altered: Altered, refused: Callable[[Path], MismatchError], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = altered(id2label={"0": "cs.RO", "1": "other"}, label2id={"cs.RO": 0, "other": 1})
    monkeypatch.setattr(build, "POSITIVE_INDEX", 0)  # as --category cs.RO does
    assert refused(folder).kind is Mismatch.LABELS


def test_label_names_swapped_in_the_manifest(
    checkpoint: Checkpoint, refused: Callable[[Path], MismatchError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def swapped(**fields: object) -> Manifest:
        return Manifest(**{**fields, "labels": ("cs.RO", "other")})  # type: ignore[arg-type]

    monkeypatch.setattr(build, "Manifest", swapped)
    assert refused(checkpoint.folder).kind is Mismatch.LABELS


def test_a_tokenizer_that_transformers_reads_otherwise(
    altered: Altered, refused: Callable[[Path], MismatchError]
) -> None:
    folder = altered("tokenizer_config.json", tokenizer_class="BertTokenizerFast", do_lower_case=False)
    assert refused(folder).kind is Mismatch.TOKENIZER


def test_quantization_that_gives_no_numbers(
    checkpoint: Checkpoint, refused: Callable[[Path], MismatchError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ruined(model: Path, folder: Path) -> Path:
        return alter_weight(quantize(model, folder), lambda weight: np.full_like(weight, np.nan))

    monkeypatch.setattr(build, "quantize", ruined)
    assert refused(checkpoint.folder).kind is Mismatch.NOT_FINITE


def test_a_paper_that_gets_no_number_is_not_taken_for_one_without_text(
    checkpoint: Checkpoint, exported: tuple[Path, Report], few_path: Path, tmp_path: Path
) -> None:
    papers = read_papers(few_path, "cs.RO").take(np.arange(20))
    token = tokenize(checkpoint, papers).token_ids[7][1]

    def break_token(embeddings: np.ndarray) -> np.ndarray:
        broken = embeddings.copy()
        broken[token] = np.nan
        return broken

    model = alter_weight(convert(checkpoint, tmp_path), break_token).read_bytes()
    manifest = replace(exported[1].bundle.manifest, inputs=())
    classifier = classifier_of(manifest, model, checkpoint.tokenizer_json)
    with pytest.raises(MismatchError, match="papers, for example") as caught:
        score_all(classifier, papers, threads=1, on_progress=lambda _: None)
    assert caught.value.kind is Mismatch.NOT_FINITE


def test_quantization_that_flips_labels(
    checkpoint: Checkpoint, refused: Callable[[Path], MismatchError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ruined(model: Path, folder: Path) -> Path:
        return quantize(alter_weight(model, np.zeros_like), folder)

    monkeypatch.setattr(build, "quantize", ruined)
    assert refused(checkpoint.folder).kind is Mismatch.FLIPS


def test_quantization_that_ranks_worse(
    checkpoint: Checkpoint, refused: Callable[[Path], MismatchError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.verify.MAX_AP_LOSS", -1.0)
    assert refused(checkpoint.folder).kind is Mismatch.QUALITY


def _rewrite(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def _without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _to_nothing(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("blobs")


BROKEN: dict[str, tuple[dict[str, object] | Callable[[Path], object], str]] = {
    "code": ({"auto_map": {"AutoModel": "code.Model"}}, "code of its own"),
    "labels the other way round": ({"label2id": {"other": 1, "cs.RO": 0}}, "contradict"),
    "labels of one name": ({"id2label": {"0": "x", "1": "x"}, "label2id": {"x": 1}}, "expected two labels"),
    "no labels": ({"id2label": None}, "names no labels"),
    "an empty table of labels": ({"id2label": {}, "label2id": {}}, "expected two labels, found none"),
    "three labels": (
        {"id2label": {"0": "a", "1": "cs.RO", "2": "b"}, "label2id": {"a": 0, "cs.RO": 1, "b": 2}},
        "expected two labels, found a, cs.RO, b",
    ),
    "few positions": ({"max_position_embeddings": 256}, "512 is more than the model's positions (256)"),
    "another text form": ({"text_form": "third"}, "text_form: expected"),
    "a size of text": ({"hidden_size": "48"}, "no model can be made of its config.json"),
    "a small vocabulary": ({"vocab_size": 100}, "its tokenizer has tokens up to id 2999, but its model knows 100"),
    "an unknown type": ({"model_type": "unheard"}, "config.json is not that of a model"),
    "a list": (_rewrite("config.json", b"[1]"), "config.json is not that of a model"),
    "no JSON": (_rewrite("config.json", b"\xff"), "config.json is not that of a model"),
    "a damaged tokenizer": (_rewrite("tokenizer.json", b"{}"), "its tokenizer cannot be loaded"),
    "no length": (_rewrite("tokenizer_config.json", b"{}"), "is more than the model's positions (512)"),
    "a length of 3": (_rewrite("tokenizer_config.json", b'{"model_max_length": 3}'), "3 is less than 4"),
    "a damaged card": (_rewrite("README.md", b"---\n: [\n---\n"), "its header is not that of a model card"),
    "weights that link to nothing": (_to_nothing, "No such file"),
    "no config.json": (_without("config.json"), "it has no config.json"),
    "no tokenizer": (_without("tokenizer.json"), "it has no tokenizer.json"),
    "no weights": (_without("model.safetensors"), "it has no *.safetensors"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_evaluation_and_export_refuse_a_broken_checkpoint_alike(
    kind: str, altered: Altered, invoke: Invoke, few_path: Path, tmp_path: Path
) -> None:
    change, message = BROKEN[kind]
    folder = altered(**change) if isinstance(change, dict) else altered()
    if not isinstance(change, dict):
        change(folder)
    evaluated = invoke(evaluate, [few_path, "--checkpoint", folder, "--quiet"])
    exported = invoke(export_command, [folder, "-o", tmp_path / "bundle", "--papers", few_path])
    assert (evaluated.code, exported.code) == (78, 78), evaluated.stderr + exported.stderr
    sentence = evaluated.stderr.removeprefix("ro32-eval: ")
    assert sentence == exported.stderr.removeprefix("export: ")
    assert sentence.startswith(f"checkpoint {folder}: ")
    assert message in sentence
    assert not (tmp_path / "bundle").exists()


def test_only_what_is_published_needs_a_card(altered: Altered) -> None:
    folder = altered()
    (folder / "README.md").unlink()
    with pytest.raises(BundleError, match=r"it has no README\.md"):
        Checkpoint.open(folder)
    assert CheckpointModel(folder, "cs.RO").checkpoint.licence == "unknown"


def test_positions_that_begin_behind_the_padding_are_not_all_there(altered: Altered) -> None:
    """An MPNet has two rows of positions that no token uses."""
    folder = altered("tokenizer_config.json", model_max_length=65)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    labels = {"id2label": {0: "other", 1: "cs.RO"}, "label2id": {"other": 0, "cs.RO": 1}}
    config = MPNetConfig(vocab_size=3000, max_position_embeddings=66, **sizes, **labels)
    MPNetForSequenceClassification(config).save_pretrained(folder)
    with pytest.raises(BundleError, match=r"model_max_length 65 is more than the model's positions \(64\)"):
        Checkpoint.open(folder)
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 64}')
    scores = CheckpointModel(folder, "cs.RO").predict_proba(["robot arm " * 100], [""])
    assert np.isfinite(scores).all()


def test_a_type_of_model_that_optimum_does_not_know(altered: Altered, tmp_path: Path) -> None:
    folder = altered()
    labels = {"id2label": {0: "other", 1: "cs.RO"}, "label2id": {"other": 0, "cs.RO": 1}}
    config = FNetConfig(vocab_size=3000, hidden_size=16, intermediate_size=16, num_hidden_layers=1, **labels)
    FNetForSequenceClassification(config).save_pretrained(folder)
    with pytest.raises(BundleError, match="Optimum cannot convert a model of type fnet"):
        convert(Checkpoint.open(folder), tmp_path / "onnx")


def test_weights_in_a_format_that_can_run_code_are_not_read(altered: Altered) -> None:
    folder = altered()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BundleError, match="safetensors"):
        Checkpoint.open(folder)


def test_missing_weights_are_not_made_up(altered: Altered) -> None:
    folder = altered()
    weights = load_file(folder / "model.safetensors")
    del weights["classifier.bias"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BundleError, match=r"classifier\.bias"):
        load_model(folder)


def test_damaged_weights(altered: Altered) -> None:
    folder = altered()
    (folder / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(BundleError, match="cannot be loaded"):
        load_model(folder)
