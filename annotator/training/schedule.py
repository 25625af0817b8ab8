"""When a new fit pays: a pure rule over what has changed since the last one.

A person who labels should see the model learn within seconds; a fit of a large project costs a
minute of all cores. So the rule counts what is new, waits for a pause in the labelling when little
is new, and never spends more than a set share of the time on fitting.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fitted:
    """What the model in force was fitted on; all zero before the first.

    Attributes:
        known_cells: decided cells of the pictures it saw.
        images: pictures it saw.
        seconds: the fit took, scores and checkpoint included.
    """

    known_cells: int = 0
    images: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Change:
    """What is new since then.

    Attributes:
        cells: changes of cells, undone ones included.
        images: pictures whose features have been computed.
        categories: categories added or removed.
        unread: pictures whose features are still to be computed.
        seconds_since_cell: since a change of cells was last noticed.
        seconds_since_fit: since the last fit of this process ended.
        asked: somebody pressed "train now", or what the model made cannot be used.
    """

    cells: int
    images: int
    categories: int
    unread: int
    seconds_since_cell: float
    seconds_since_fit: float
    asked: bool = False


@dataclass(frozen=True)
class RefitRule:
    """Thresholds of the rule.

    Attributes:
        first_images: pictures with features that the very first fit waits for, if there are more.
        least_cells: changed cells that make a fit worth its while.
        share_of_known: of the cells known at the last fit that must have changed as well.
        pause: seconds without a new decision after which a single one is enough.
        image_growth: while pictures are being read, fit again when there are this many times more.
        busy_share: of the time that fitting may take while decisions keep coming in but stay
            below ``share_of_known``, or while pictures are being read.
    """

    first_images: int = 64
    least_cells: int = 10
    share_of_known: float = 0.05
    pause: float = 4.0
    image_growth: float = 1.5
    busy_share: float = 0.1

    def due(self, fitted: Fitted, change: Change) -> bool:
        """Whether to fit now."""
        if change.asked:
            return True
        # Whatever happens, half of the time is left to reading pictures and to the server.
        if change.seconds_since_fit < fitted.seconds:
            return False
        return self._labels_pay(fitted, change) or self._images_pay(fitted, change)

    def _labels_pay(self, fitted: Fitted, change: Change) -> bool:
        if fitted.images == 0:
            return False  # the first fit waits for pictures
        new = change.cells + change.categories
        rested = change.seconds_since_fit >= fitted.seconds / self.busy_share
        if new >= max(self.least_cells, self.share_of_known * fitted.known_cells):
            return True
        if new >= self.least_cells and rested:
            return True
        # A long fit waits for a long pause: it would only be followed by another.
        return new >= 1 and change.seconds_since_cell >= max(self.pause, fitted.seconds)

    def _images_pay(self, fitted: Fitted, change: Change) -> bool:
        if change.unread == 0:
            return change.images > 0
        if fitted.images == 0:
            return change.images >= self.first_images
        rested = change.seconds_since_fit >= fitted.seconds / self.busy_share
        return rested and change.images >= (self.image_growth - 1) * fitted.images


@dataclass(frozen=True)
class DeepRule:
    """When the network is trained: minutes of all cores, so only while nobody labels.

    On a CPU nobody gets it without asking: there it takes minutes and helps a little, and only
    where many labels are known (``docs/speed.md``). Who asks for it gets it from the first known
    cells on; what is of no use is left out by the stack.

    Attributes:
        least_cells: known cells below which a network has nothing to add (reference §11).
        share_of_known: of the cells known at the last training that must be new, or gone.
        share_after_nothing: the same after a training of which the stack kept nothing.
        pause: seconds without a new decision.
    """

    least_cells: int = 1_000
    share_of_known: float = 0.25
    share_after_nothing: float = 3.0
    pause: float = 20.0

    def due(
        self,
        known: int,
        known_at_last: int,
        seconds_since_cell: float,
        *,
        on: bool,
        fast_device: bool = False,
        helped: bool = True,
    ) -> bool:
        """Whether to train now.

        Args:
            known: known cells of the version in force.
            known_at_last: of the last training, 0 if there was none.
            seconds_since_cell: since a change of cells was last noticed.
            on: asked for whatever the number of cells and the device.
            fast_device: a GPU does the work.
            helped: the stack makes use of what the last training brought.
        """
        enough = known > 0 if on else fast_device and known >= self.least_cells
        share = self.share_of_known if helped else self.share_after_nothing
        grown = known - known_at_last >= max(1.0, share * known_at_last)
        # Much was taken back, so what was trained speaks for labels that nobody stands by.
        fallen = known_at_last - known >= max(1.0, self.share_of_known * known_at_last)
        return enough and (grown or fallen) and seconds_since_cell >= self.pause
