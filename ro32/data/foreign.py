"""Recognizes unsupported file formats and recommends a conversion."""

import codecs
import re

from ro32.data.compressed import NOT_READ, OFFICE

_WIDE = {
    rb"\xff\xfe\0\0|\0\0\xfe\xff": "UTF-32",
    rb"\xff\xfe|\xfe\xff": "UTF-16",
    rb"[^\0]\0[^\0]\0": "UTF-16LE",
    rb"\0[^\0]\0[^\0]": "UTF-16BE",
}
"""First bytes of texts in other encodings: a mark, or ASCII letters with zeros between."""
_SIGNS = {
    b"PARE": ("Parquet with an encrypted footer", "write it without encryption"),
    b"ARROW1": ("an Arrow IPC (Feather) file", "write it as Parquet"),
    b"\xff\xff\xff\xff": ("an Arrow IPC stream, which is read from stdin alone", "ro32-score - < FILE"),
    b"ORC": ("ORC", "write it as Parquet"),
    b"Obj\x01": ("Avro", "write it as Parquet"),
    b"SQLite format 3\x00": ("an SQLite database", "export its table as CSV: sqlite3 -header -csv"),
    b"\x89HDF": ("HDF5", "write it as Parquet"),
    b"\x93NUMPY": ("a NumPy array", "write it as Parquet"),
    b"\xd0\xcf\x11\xe0": OFFICE,
    b"%PDF": ("a PDF", "name the papers' metadata"),
    b"version https://git-lfs": ("a pointer of Git LFS, not the file itself", "run: git lfs pull"),
    b"<": ("XML or HTML, such as an error page in the place of the file", "get the file again, or convert it"),
    b"[": ("a JSON array", "write one object a line: jq -c '.[]'"),
}
"""First bytes, what has them, and what to do."""
_TAR = (257, b"ustar")


def name_foreign(head: bytes) -> str | None:
    """Return a message with the format of an unsupported file and the remedy; None if the format is unknown."""
    if wide := next((name for pattern, name in _WIDE.items() if re.match(pattern, head)), None):
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
