"""What the errors of the library mean: why a request failed, and whether another try may help."""

import re
from http import HTTPStatus

from ro32.storage.urls import redact

VARIABLES = "set the variables that docs/scale.md lists"
"""Advice where there are no credentials, or wrong ones."""
_STATUS = re.compile(r"status code: (\d{3})")
_FINAL = re.compile("redirect without LOCATION|non-partial response|builder error")
"""Errors without a status that no other try would help: a wrong region, a server without ranges, an odd address."""
_CREDENTIALS = re.compile("/latest/api/token|token request|token file")
"""Requests to the last places that are asked for credentials: where a cloud gives them to its machines."""
_CAUSE = re.compile(r'(?:message|error): "([^"]+)"|(InvalidCertificate\(\s*\w+|InvalidMessage)')
"""Why a connection failed, which only the library's debugging output tells."""
_XML = re.compile(r"<\?xml\b.*?<Code>(?P<code>\w+)</Code>", re.DOTALL)
"""The error code in an answer of Amazon's S3 and compatible stores."""
_TRANSIENT_4XX = {408, 409, 425, 429}
"""Timeout, a conflict of two writes at once, too early, too many requests."""


class ShortAnswerError(Exception):
    """An answer had fewer bytes than were asked for."""


def refusal(error: Exception, *, last: bool) -> str | None:
    """Return why a request fails, and what to do about that; None if another try may help.

    After the last try that is a lack of credentials too: a cloud's own source of them fails now and then.
    """
    reason, found = first_line(error), _STATUS.search(str(error))
    if found and int(found[1]) == HTTPStatus.NOT_IMPLEMENTED:
        return (
            f"the store does not implement this request: {reason}; writing needs the conditions If-None-Match and "
            "If-Match, without which two runs may destroy each other's labels; use a store or a version of it that "
            "has them"
        )
    if not _is_transient(error, int(found[1]) if found else None):
        advice = "download it" if "ange request" in reason else "check name, region and credentials"
        return f"the store refuses it: {reason}; {advice}"
    if last and _CREDENTIALS.search(reason):
        return f"no credentials were found: {reason}; {VARIABLES}"
    return None


def _is_transient(error: Exception, status: int | None) -> bool:
    """Return whether there was no answer, a part of one, or one of a server in trouble."""
    from obstore.exceptions import GenericError  # noqa: PLC0415 - of use with a store alone

    if not isinstance(error, GenericError):
        return isinstance(error, TimeoutError | ShortAnswerError)
    if status is None:
        return _FINAL.search(str(error)) is None
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRANSIENT_4XX


def first_line(error: Exception) -> str:
    """Return the text of an error without URLs and the library's debugging output."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = str(error).strip()
    answer = _XML.search(text)
    line = text.partition("\n")[0] if answer is None else f"{text[: answer.start()]}{answer['code']}"
    if line.endswith("error sending request") and (cause := _CAUSE.search(text)):
        line += f": {cause[1] or ' '.join(re.findall(r'[A-Za-z]+', cause[2]))}"
    printable = "".join(letter if letter.isprintable() else "?" for letter in line)  # names may hold anything
    return redact(printable) or type(error).__name__
