"""`python -m export.push`: assemble a model as a repository of the Hugging Face hub, and optionally upload it.

config.json, model.safetensors, tokenizer.json, ...   the checkpoint: what transformers' pipeline loads
onnx/model.onnx, onnx/model_quantized.onnx            fp32 and int8 for padded batches: what Optimum's ORTModel loads
bundle.tar                                            what ro32-bundle installs
README.md                                             the bundle's card, with its pictures
"""

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from export.build import Form, Variant
from export.convert import input_names
from ro32.cli.parameters import HELP, PATH
from ro32.cli.process import run
from ro32.errors import BundleError, ReadWriteError
from ro32.evaluation.checkpoint import Checkpoint
from ro32.evaluation.weights import deciding_files
from ro32.model.bundle import Bundle
from ro32.model.bundle_json import CARD, MANIFEST, MODEL
from ro32.model.origins import HUB_ARCHIVE, read_files
from ro32.model.publish import appear, check_target

ONNX_NAMES = {Variant.FP32: "model.onnx", Variant.INT8: "model_quantized.onnx"}
"""As Optimum names what it exports and quantizes."""


def lay_out(checkpoint: Checkpoint, bundle_folder: Path, onnx_folders: Sequence[Path]) -> dict[str, bytes]:
    """Return a repository's files by path: bundles of the form for batches, one a variant, go into the folder onnx/.

    Raises:
        BundleError: A bundle was made of another checkpoint, or is not of the form that its place needs.
    """
    names = _load(bundle_folder, checkpoint).manifest.files
    files = {path.name: path.read_bytes() for path in deciding_files(checkpoint.folder)}
    packed = {name: (bundle_folder / name).read_bytes() for name in (MANIFEST, *sorted(names))}
    files |= {name: content for name, content in packed.items() if name == CARD or name.endswith(".png")}
    files[HUB_ARCHIVE] = _pack(packed)
    for folder in onnx_folders:
        exported, inputs = _load(folder, checkpoint), input_names(folder / MODEL)
        if "attention_mask" not in inputs:
            raise BundleError(
                f"bundle {folder}: expected a model of padded batches, found one that takes {', '.join(inputs)} alone; "
                f"export it with --form {Form.BATCHES}"
            )
        files[f"onnx/{ONNX_NAMES[Variant(exported.manifest.source['variant'])]}"] = exported.model
    return files


def _load(folder: Path, checkpoint: Checkpoint) -> Bundle:
    """Load a bundle; refuse one of another checkpoint."""
    bundle = Bundle.load(folder)
    found = bundle.manifest.source.get("checkpoint_sha256")
    if found != checkpoint.digest:
        raise BundleError(
            f"bundle {folder}: expected one that was exported from {checkpoint.folder} ({checkpoint.digest[:12]}…), "
            f"found one from another checkpoint ({str(found)[:12]}…); export it again"
        )
    return bundle


def _pack(files: Mapping[str, bytes]) -> bytes:
    """Pack files without times and owners, so that one bundle always makes one archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def upload(folder: Path, repository: str) -> str:
    """Upload a folder of `lay_out` as one commit, and return that commit; "owner/name" is created if need be."""
    api = HfApi()
    try:
        api.create_repo(repository, exist_ok=True)
        commit = api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Publish what ro32 exported")
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ReadWriteError(f"{repository}: the hub refused it: {reason}; {folder} is complete, try again") from error
    return str(commit.oid)


@click.command(name="export.push", context_settings=HELP)
@click.argument("checkpoint", type=PATH, metavar="CHECKPOINT")
@click.option("--bundle", required=True, metavar="FOLDER", type=PATH, help="Bundle exported from CHECKPOINT.")
@click.option(
    "--onnx",
    multiple=True,
    metavar="FOLDER",
    type=PATH,
    help="Bundle exported with --form batches, for other programs than ro32; one per variant. Repeatable.",
)
@click.option("-o", "--output", required=True, metavar="FOLDER", type=PATH, help="Folder to write.")
@click.option("--repository", metavar="OWNER/NAME", help="Hub repository to upload to.  [default: none]")
def command(*, checkpoint: Path, bundle: Path, onnx: tuple[Path, ...], output: Path, repository: str | None) -> None:
    """Assemble checkpoint, ONNX files, bundle and card as a repository of the Hugging Face hub.

    Example: python -m export.push checkpoint/ --bundle bundle/ --onnx fp32/ --onnx int8/ -o hub/
    """
    check_target(output, overwrite=False)
    files = lay_out(Checkpoint.open(checkpoint), bundle, onnx)
    appear(output, files, check=lambda folder: read_files(str(folder / HUB_ARCHIVE)))
    click.echo(f"{output}: {len(files)} files", err=True)
    if repository is not None:
        click.echo(f"hf:{repository}@{upload(output, repository)}")


if __name__ == "__main__":
    run(command)
