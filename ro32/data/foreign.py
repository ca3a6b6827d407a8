"""Recognizes unsupported file formats and recommends a conversion."""

import codecs

from ro32.data.compressed import NOT_READ

_WIDE = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_SIGNS = {
    b"PARE": ("Parquet with an encrypted footer", "write it without encryption"),
    b"ARROW1": ("an Arrow IPC (Feather) file", "write it as Parquet"),
    b"\xff\xff\xff\xff": ("an Arrow IPC stream, which is read from stdin alone", "ro32-score - < FILE"),
    b"ORC": ("ORC", "write it as Parquet"),
    b"Obj\x01": ("Avro", "write it as Parquet"),
    b"SQLite format 3\x00": ("an SQLite database", "export its table as CSV: sqlite3 -header -csv"),
    b"\x89HDF": ("HDF5", "write it as Parquet"),
    b"\x93NUMPY": ("a NumPy array", "write it as Parquet"),
    b"%PDF": ("a PDF", "name the papers' metadata"),
    b"version https://git-lfs": ("a pointer of Git LFS, not the file itself", "run: git lfs pull"),
    b"<": ("XML or HTML, such as an error page in the place of the file", "get the file again, or convert it"),
    b"[": ("a JSON array", "write one object a line: jq -c '.[]'"),
}
"""First bytes, what has them, and what to do."""
_TAR = (257, b"ustar")
_FEW = 4
"""Bytes that show which half of a UTF-16 code unit is zero."""


def name_foreign(head: bytes) -> str | None:
    """Return a message with the format of an unsupported file and the remedy; None if the format is unknown."""
    wide = next((name for mark, name in _WIDE.items() if head.startswith(mark)), None) or _wide_without_mark(head)
    if wide and not head.startswith(b"\xff\xff\xff\xff"):
        return f"is {wide}, not UTF-8; convert it: iconv -f {wide.lower()} -t utf-8"
    for sign, (name, command) in NOT_READ.items():
        if head.startswith(sign):
            return f"is compressed by {name}, which is not read; decompress it: {command} FILE | ro32-score -"
    if head[_TAR[0] :].startswith(_TAR[1]):
        return "is a tar archive; unpack it: tar -xf FILE"
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    for sign, (name, advice) in _SIGNS.items():
        if text.startswith(sign):
            return f"is {name}; {advice}"
    try:
        head.partition(b"\n")[0].decode()
    except UnicodeDecodeError:
        if b"\x00" not in head and b"\n" in head:
            return "is text, but not UTF-8; convert it, a Latin-1 file by: iconv -f latin1 -t utf-8"
    return None


def _wide_without_mark(head: bytes) -> str | None:
    """Recognize UTF-16 of ASCII letters by its zeros."""
    start = head[:_FEW]
    if len(start) == _FEW and start[1::2] == b"\x00\x00" and all(start[::2]):
        return "UTF-16LE"
    return "UTF-16BE" if len(start) == _FEW and start[::2] == b"\x00\x00" and all(start[1::2]) else None
