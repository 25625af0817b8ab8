"""Where a benchmark computes: one option for all of them, and the words its table says it with."""

from __future__ import annotations

import argparse
import os
import platform

import torch


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``; a device that is not there ends the program with a reason."""
    parser.add_argument(
        "--device", type=usable_device, default="cpu", help="cpu, cuda, cuda:1 or auto"
    )


def usable_device(name: str) -> str:
    """Return the device of this name, of ``auto`` a CUDA device if there is one.

    Raises:
        argparse.ArgumentTypeError: if there is no such device.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if count else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"must be cpu, cuda or auto, got {name!r}") from error
    if device.type not in ("cpu", "cuda"):
        raise argparse.ArgumentTypeError(f"must be cpu, cuda or auto, got {name!r}")
    if device.type == "cuda" and (device.index or 0) >= count:
        raise argparse.ArgumentTypeError(
            f"torch finds {count or 'no'} CUDA devices, so {name!r} is not there"
        )
    return name


def described(device: str) -> str:
    """Say what the figures of a run were measured on."""
    if device == "cpu":
        where = f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"
    else:
        where = torch.cuda.get_device_name(device)
    return f"{where}, torch {torch.__version__}"
