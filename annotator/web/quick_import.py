"""Import a package without a step that it takes while it is imported.

Gradio writes a stub file for editors beside each of its components whenever it is imported, even
where the file is there already. That is half the time of importing it, and nothing here reads one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


@contextmanager
def importing_without(module: str, function: str) -> Iterator[None]:
    """Let a function of a module do nothing if the module is imported meanwhile.

    Args:
        module: full name; one that is imported already stays as it is.
        function: in it; does nothing if the module has no such function.
    """
    finder = _Finder(module, function)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    def __init__(self, module: str, function: str) -> None:
        self._module = module
        self._function = function

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As usual, with a loader that takes the function out afterwards."""
        if fullname != self._module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._function)
        return spec


class _Loader(Loader):
    def __init__(self, usual: Loader, function: str) -> None:
        self._usual = usual
        self._function = function

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._usual.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._usual.exec_module(module)
        if hasattr(module, self._function):
            setattr(module, self._function, _nothing)


def _nothing(*_: Any, **__: Any) -> None:
    pass
