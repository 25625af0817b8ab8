"""Read a large JSON object piece by piece, so that memory does not grow with the file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO, Any

from annotator.errors import FormatError

CHUNK_CHARACTERS = 1 << 20
_LONGEST_TOKEN = 64
"""An error this close to the end of what was read may come from the cut."""

_AFTER_NUMBER = frozenset(", \t\n\r]}")
_BEGINS = frozenset('{["')
_COMMA = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_SPACE = re.compile(r"[ \t\n\r]*")


class JsonStream:
    """The members of one top-level object, arrays element by element.

    Args:
        stream: text, read once from the start.
        chunk: characters read at a time.
    """

    def __init__(self, stream: IO[str], chunk: int = CHUNK_CHARACTERS) -> None:
        self._stream, self._chunk = stream, chunk
        self._text, self._at, self._dropped = "", 0, 0
        self._ended = False
        self._decode = json.JSONDecoder().raw_decode

    def members(self) -> Iterator[tuple[str, Any]]:
        """Yield key and value; the value of an array is an iterator that must be used at once.

        Raises:
            FormatError: if the text is not one JSON object, or a key is there twice.
        """
        if self._peek() == "[":
            raise FormatError(
                "the file holds a list, expected an object with images, annotations and categories "
                "(this may be a results file; give the annotation file)"
            )
        self._take("{")
        seen: set[str] = set()
        while self._peek() != "}":
            if seen:
                self._take(",")
            key = self._value()
            if not isinstance(key, str) or key in seen:
                raise FormatError(f"expected another name of a member, got {key!r} {self._where()}")
            seen.add(key)
            self._take(":")
            if self._peek() == "[":
                elements = self._elements()
                yield key, elements
                for _ in elements:
                    pass  # what was not used
            else:
                yield key, self._value()
        self._take("}")
        if self._peek():
            raise FormatError(f"the file goes on after its end {self._where()}")

    def _elements(self) -> Iterator[Any]:
        self._take("[")
        if self._peek() != "]":
            yield self._value()
            # Most elements are followed by a comma that is read already.
            while (comma := _COMMA.match(self._text, self._at)) or self._peek() == ",":
                self._at = comma.end() if comma else self._at + 1
                yield self._value()
        self._take("]")

    def _value(self) -> Any:
        if self._text[self._at : self._at + 1] not in _BEGINS:
            self._peek()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                place = self._dropped + error.pos
                cut = error.pos >= len(self._text) - _LONGEST_TOKEN
                if not (cut or "Unterminated" in error.msg) or not self._fill():
                    raise self._broken(error.msg, place) from None
                continue
            except RecursionError:
                raise FormatError(f"the file is nested too deeply {self._where()}") from None
            # A number may go on behind the cut, everything else shows its end.
            if (
                not isinstance(value, int | float)
                or self._text[end : end + 1] in _AFTER_NUMBER
                or not self._fill()
            ):
                self._at = end
                return value

    def _peek(self) -> str:
        """Next character that is not space, empty at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill():
                return ""

    def _take(self, expected: str) -> None:
        got = self._peek()
        if got != expected:
            problem = f"expected {expected!r}, got {got!r}" if got else "the file ends too early"
            raise self._broken(problem, self._dropped + self._at)
        self._at += 1

    def _fill(self) -> bool:
        """Read on, at least as much again as is waiting; False at the end."""
        if self._ended:
            return False
        waiting = self._text[self._at :]
        try:
            more = self._stream.read(max(self._chunk, len(waiting)))
        except UnicodeDecodeError as error:
            raise FormatError(
                f"the file is not UTF-8: {error.reason} {self._where()} (save it as UTF-8)"
            ) from None
        self._dropped += self._at
        self._text, self._at = waiting + more, 0
        self._ended = not more
        return not self._ended

    def _broken(self, problem: str, place: int) -> FormatError:
        if self._ended and (place >= self._dropped + len(self._text) or "Untermin" in problem):
            problem = "the file ends too early, it may be cut off"
        return FormatError(
            f"the file is not valid JSON: {problem[:1].lower()}{problem[1:]} at character "
            f"{place:,} (look how it was written; a table is imported as CSV)"
        )

    def _where(self) -> str:
        return f"at character {self._dropped + self._at:,}"
