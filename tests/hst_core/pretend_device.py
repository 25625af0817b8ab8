"""A device that this machine does not have: a CPU that refuses to meet the CPU's tensors.

Its tensors report the device ``meta``, which torch lets anybody name, but they hold values and
compute with them. Like a GPU's they cannot be mixed with tensors of the CPU, so what runs here to
its end, and to the CPU's result, brings every tensor where it belongs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

PRETEND = torch.device("meta")


class MixedDevicesError(RuntimeError):
    """Tensors of two devices met."""


class There(Tensor):
    """A tensor of the pretended device.

    Attributes:
        here: its values.
    """

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> There:
        """Wrap a tensor of the CPU."""
        made = Tensor._make_wrapper_subclass(
            cls,
            here.size(),
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=PRETEND,
        )
        made.here = here
        found: There = made
        return found

    def tolist(self) -> Any:
        return self.here.tolist()

    @classmethod
    def __torch_dispatch__(
        cls,
        func: Any,
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return _run(func, args, kwargs or {})


class PretendDevice(TorchDispatchMode):
    """Within it, ``device="meta"`` is the pretended device; in this thread only."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    flat, structure = tree_flatten((args, kwargs))
    wanted = kwargs.get("device")
    stays = any(isinstance(value, There) for value in flat)
    if wanted is not None:
        stays = wanted == PRETEND
    elif str(func) != "aten.copy_.default":
        _refuse_a_mixture(str(func), [value for value in flat if isinstance(value, Tensor)])
    plain = [_here(value) for value in flat]
    found_args, found_kwargs = tree_unflatten(plain, structure)
    found = func(*found_args, **found_kwargs)
    if str(func).split(".")[1].endswith("_") and isinstance(args[0], Tensor):
        return args[0]  # in place
    return tree_map_only(Tensor, There, found) if stays else found


def _here(value: Any) -> Any:
    if isinstance(value, There):
        return value.here
    if isinstance(value, torch.device) and value == PRETEND:
        return torch.device("cpu")
    return value


def _refuse_a_mixture(name: str, tensors: Sequence[Tensor]) -> None:
    """Refuse what CUDA would: only numbers, and the CPU's indices, may come from elsewhere."""
    there = [isinstance(tensor, There) for tensor in tensors]
    for tensor, is_there in zip(tensors, there, strict=True):
        if any(there) and not is_there and tensor.ndim and not name.startswith("aten.index"):
            raise MixedDevicesError(f"{name}: {list(tensor.shape)} of the CPU met {PRETEND}")
