"""Every error that the tool raises on purpose; the interface shows their text as it stands.

AnnotatorError
├── InvalidInput        the request cannot be carried out as written
│   ├── FormatError     a file that was to be read is not what it should be
│   └── OutOfReach      a promise that no sensible number of answers can prove now
├── NotFound            an image, category, user or event that is not there
├── Conflict            the request contradicts what is stored
└── WorkspaceError      the workspace is missing, newer than the program, or in use
"""

from __future__ import annotations


class AnnotatorError(Exception):
    """Base of all errors with a text meant for the person at the keyboard."""


class InvalidInput(AnnotatorError):
    """A value is wrong. The text names the value, what was expected and the next step."""


class FormatError(InvalidInput):
    """An imported file is malformed or inconsistent."""


class OutOfReach(InvalidInput):
    """A promise cannot be proved now. The text says which one could be, if any."""


class NotFound(AnnotatorError):
    """Something that was asked for by id or name does not exist."""


class Conflict(AnnotatorError):
    """The request contradicts stored data, such as a reused idempotency key."""


class WorkspaceError(AnnotatorError):
    """The workspace cannot be opened: missing, made by a newer version, or already served."""
