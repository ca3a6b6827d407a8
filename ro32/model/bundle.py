"""The bundle: a model folder with everything that scoring needs, and a digest of every file.

model.onnx           the encoder and its classification head: input_ids -> logits, for one paper; older bundles take
                     attention_mask and token_type_ids too
tokenizer.json       a Hugging Face fast tokenizer. A bundle whose max_length is 0 has neither: it scores by its
                     linear view alone
linear.safetensors   the linear view (`ro32.model.linear_view`), if the bundle has one
curves.csv           precision and recall of each view at every threshold of use: view,threshold,precision,recall
cascade.csv          what the cascade changes, if the bundle has one: by,value,papers,screened,lost,gained
bundle.json          the manifest (`ro32.model.bundle_json`): settings, quality, and the digest of each other file
README.md            the model card, and beside it the pictures that it shows, *.png

A bundle is refused if a file that its manifest lists is missing or differs by a byte. Other files are not read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ro32.errors import BundleError
from ro32.model.bundle_json import CURVES, LINEAR, MANIFEST, MODEL, TOKENIZER, Manifest, sha256
from ro32.storage.files import require_regular

SHIPPED = "cs.RO"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A loaded bundle: its manifest, and the very bytes of its files that were verified, empty if it has no encoder.

    The digest is the SHA-256 in hex of bundle.json, which covers every file: the identity of the model.
    """

    manifest: Manifest
    digest: str
    model: bytes
    tokenizer: bytes
    linear: bytes | None = None
    curves: bytes | None = None

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a bundle and check every file's digest over the bytes that are then used.

        Raises:
            BundleError: The folder is no bundle, or a file is missing or altered.
        """
        manifest, identity = read_manifest(folder)
        contents = {}
        for name, digest in manifest.files.items():
            contents[name] = _read(folder, name)
            if sha256(contents[name]) != digest:
                raise BundleError(
                    f"bundle {folder}: {name} was altered: expected SHA-256 {digest[:12]}…, "
                    f"found {sha256(contents[name])[:12]}…; install the bundle again"
                )
        for name in (MODEL, TOKENIZER):
            if manifest.has_encoder != (name in contents):
                fault = f"lists no {name}" if manifest.has_encoder else f"lists a {name}, but its max_length is 0"
                raise BundleError(f"bundle {folder}: {MANIFEST} {fault}; export the bundle again")
        return cls(
            manifest=manifest,
            digest=identity,
            model=contents.get(MODEL, b""),
            tokenizer=contents.get(TOKENIZER, b""),
            linear=contents.get(LINEAR),
            curves=contents.get(CURVES),
        )

    @classmethod
    def shipped(cls) -> Self:
        """Load the bundle that comes with the package."""
        return cls.load(shipped_folder())


def shipped_folder() -> Path:
    """Return the folder of the bundle that comes with the package."""
    return Path(__file__).parents[1] / "shipped"


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """Return the manifest of a bundle folder, and its SHA-256 in hex.

    Raises:
        BundleError: There is none, or it was altered.
    """
    raw = _read(folder, MANIFEST)
    try:
        return Manifest.from_bytes(raw), sha256(raw)
    except BundleError as error:
        raise BundleError(f"bundle {folder}: {error}") from error


def _read(folder: Path, name: str) -> bytes:
    require_regular(folder / name, BundleError, "install the bundle again, or name another")
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise BundleError(
            f"bundle {folder}: cannot read {name} ({error.strerror}); name a bundle folder with --bundle, "
            "or an installed one: ro32-bundle list"
        ) from error
