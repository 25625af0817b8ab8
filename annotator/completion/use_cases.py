"""What the service offers of contracts and their blind audits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from annotator.checks import check_key, require
from annotator.completion import (
    contract_questions,
    contract_states,
    contracts,
    drafting,
    finishing,
    leaving,
    pools,
)
from annotator.completion.contract_states import ContractState
from annotator.completion.drafting import Draft, NothingSaved, Preview, Promise
from annotator.completion.planning import Kind
from annotator.db import contracts as db
from annotator.db import store
from annotator.db.cells import Cells
from annotator.db.engine import Database
from annotator.errors import Conflict, InvalidInput, WorkspaceError
from annotator.idempotency import digest_of, done_before
from annotator.scores import ScoreFolder
from annotator.settings import Workspace
from annotator.standing import Checked
from annotator.types import Contract, Event, Labels
from annotator.undoing import count_undoable

TakeBack = Callable[[Connection, Event, int | None, str | None, str | None], Event]
"""Undoes an event: (connection, event, user id, idempotency key, digest) -> the new event."""


@dataclass(frozen=True)
class Withdrawal:
    """What withdrawing a contract would do.

    Attributes:
        cells: that would be unknown again.
        kept: that somebody changed since, and that stay as they are.
        waiting: blind questions that would not be asked any more.
    """

    contract_id: int
    cells: int
    kept: int
    waiting: int


class Completion:
    """Contracts of one workspace. Thread-safe.

    Args:
        workspace: for the folder in which pools are kept.
        database: of the workspace.
        clock: gives the time, aware.
        scores: the newest score folder.
        labels: all decisions as they are now.
        take_back: undoes an event.
    """

    def __init__(
        self,
        workspace: Workspace,
        database: Database,
        clock: Callable[[], datetime],
        scores: Callable[[Connection], ScoreFolder | None],
        labels: Callable[[Connection], Labels],
        take_back: TakeBack,
    ) -> None:
        self._workspace = workspace
        self._database = database
        self._clock = clock
        self._scores = scores
        self._labels = labels
        self._take_back = take_back

    # ------------------------------------------------------------------------------ contracts

    def contracts(self, limit: int | None = 100) -> list[ContractState]:
        """The newest contracts and older ones that are proposed or active, newest first.

        Answers that are all in are looked at first.

        Args:
            limit: so many of the newest, whatever became of them; all if None.
        """
        with self._database.reading() as connection:
            found = db.listed(connection, limit)
            due = any(_is_due(connection, contract) for contract in found)
            if not due:
                return contract_states.states(connection, found)
        with self._database.writing() as connection:
            return [self._state(connection, one) for one in db.listed(connection, limit)]

    def count(self) -> int:
        """How many contracts there are in all."""
        with self._database.reading() as connection:
            return db.count(connection)

    def checked(self) -> list[Checked]:
        """Blind answers to what active contracts decided, by contract and category.

        Every category that a contract decided cells of has an entry, also without answers.
        """
        with self._database.reading() as connection:
            return [
                one
                for contract in db.of_status(connection, db.ACTIVE)
                for one in contract_questions.checked(connection, contract)
            ]

    def contract(self, contract_id: int) -> ContractState:
        """One contract.

        Raises:
            NotFound: if there is none of this id.
        """
        with self._database.writing() as connection:
            contract = require(db.one(connection, contract_id), "contract", contract_id)
            return self._state(connection, contract)

    def propose(
        self,
        user_id: int | None,
        kind: Kind,
        *,
        target: float,
        confidence: float = 0.95,
        category_id: int | None = None,
        seed: int | None = None,
    ) -> ContractState:
        """Freeze what may be decided, and draw the cells that are asked blind.

        Args:
            user_id: who proposes.
            kind: ``accept`` decides the most probable cells present, ``reject`` the least probable
                ones absent, ``finish`` all that are left as the model says.
            target: largest share that may be wrong of the decided cells (accept) or of all cells
                (finish), or missed of all present cells (reject); 0.02 is 2 %.
            confidence: of the promise.
            category_id: of this category alone; None for all together.
            seed: of the draw, else that of the workspace and the contracts so far.

        Raises:
            InvalidInput: if a value is out of range or nothing can be saved.
            NotFound: if the category or user does not exist.
            Conflict: before the first model, or while such a contract is proposed.
        """
        promise = Promise(kind, target, confidence, category_id)
        with _explaining(), self._database.writing() as connection:
            if user_id is not None:
                require(store.user(connection, user_id), "user", user_id)
            drafted, version = self._drafted(connection, promise, seed)
            made = contracts.propose(
                connection,
                self._workspace.path,
                drafted,
                self._clock(),
                model_version_id=version,
                user_id=user_id,
            )
            return contract_states.state(connection, made)

    def preview(
        self,
        kind: Kind,
        *,
        target: float,
        confidence: float = 0.95,
        category_id: int | None = None,
    ) -> Preview:
        """What `propose` would ask and might decide; nothing is changed.

        Raises:
            InvalidInput: as `propose`.
            NotFound: as `propose`.
            Conflict: as `propose`.
        """
        promise = Promise(kind, target, confidence, category_id)
        with _explaining(), self._database.reading() as connection:
            drafted, _ = self._drafted(connection, promise, None)
        return drafting.preview(drafted)

    def _drafted(
        self, connection: Connection, promise: Promise, seed: int | None
    ) -> tuple[Draft, int]:
        """The draft of a promise, and the model version it is of."""
        promise.check()
        if promise.category_id is not None:
            known = {category.id: category for category in store.categories(connection)}
            require(known.get(promise.category_id), "category", promise.category_id)
        scores = self._scores(connection)
        if scores is None:
            raise Conflict("there is no model yet to decide by (train first)")
        if seed is None:
            seed = self._workspace.settings.seed + db.newest_id(connection)
        labels = self._labels(connection)
        return drafting.draft(connection, scores, labels, promise, seed), scores.version

    def extend(self, contract_id: int) -> ContractState:
        """Ask more cells for a contract whose answers have proved nothing.

        Raises:
            NotFound: if there is no such contract.
            Conflict: if it does not wait for that.
        """
        with self._database.writing() as connection:
            contract = self._one(connection, contract_id)
            path = self._workspace.path
            extended = contracts.extend(connection, path, contract, self._clock())
            return contract_states.state(connection, extended)

    def apply(self, user_id: int, contract_id: int, *, key: str) -> ContractState:
        """Decide the cells of a proved contract as one event, which undo takes back as one.

        Args:
            user_id: who starts it.
            contract_id: of the contract.
            key: idempotency key, as in `AnnotationService.decide`.

        Raises:
            NotFound: if the user or contract does not exist.
            Conflict: if it is not proved, or the key was used for another request.
        """
        check_key(key)
        digest = digest_of("contract", user_id, contract_id)
        with self._database.writing() as connection:
            if done_before(connection, key, digest) is None:
                require(store.user(connection, user_id), "user", user_id)
                contracts.apply(
                    connection,
                    self._workspace.path,
                    self._one(connection, contract_id),
                    user_id=user_id,
                    key=key,
                    digest=digest,
                    at=self._clock(),
                )
            state = contract_states.state(connection, self._one(connection, contract_id))
        pools.remove(self._workspace.path, contract_id)
        return state

    def withdraw(
        self, user_id: int | None, contract_id: int, *, key: str, reason: str = ""
    ) -> ContractState:
        """Take a contract back: its cells are unknown again, as one event; or drop a proposal.

        Cells that somebody decided since stay as they are.

        Args:
            user_id: who does it.
            contract_id: of the contract.
            key: idempotency key.
            reason: kept as the note of the contract, at most 1,000 characters.

        Raises:
            InvalidInput: if the reason is too long.
            NotFound: if there is no such contract.
            Conflict: if it is neither proposed nor active.
        """
        check_key(key)
        if len(reason) > _LONGEST_NOTE:
            raise InvalidInput(
                f"reason must have at most {_LONGEST_NOTE} characters, got {len(reason)}"
            )
        digest = digest_of("withdraw", user_id, contract_id)
        with self._database.writing() as connection:
            if done_before(connection, key, digest) is None:
                # Not looked at before: also one whose pool is lost can be dropped.
                contract = require(db.one(connection, contract_id), "contract", contract_id)
                reason = reason or "withdrawn by a person"
                self._withdraw(connection, contract, user_id, reason, key, digest)
            contract = require(db.one(connection, contract_id), "contract", contract_id)
            state = contract_states.state(connection, contract)
        if not leaving.may_come_back(contract):
            pools.remove(self._workspace.path, contract_id)
        return state

    def preview_withdrawal(self, contract_id: int) -> Withdrawal:
        """What withdrawing a contract would do now; nothing is changed.

        Raises:
            NotFound: if there is no such contract.
            Conflict: if it is neither proposed nor active.
        """
        with self._database.reading() as connection:
            contract = require(db.one(connection, contract_id), "contract", contract_id)
            if contract.status not in (db.PROPOSED, db.ACTIVE):
                raise Conflict(f"contract {contract.id} is {contract.status} already")
            streams = (db.PROPOSAL, db.OUTSIDE, db.WATCH)
            waiting = sum(a.state is None for a in db.audits(connection, contract_id, *streams))
            if contract.event_id is None:
                return Withdrawal(contract_id, 0, 0, waiting)
            event = require(store.event(connection, contract.event_id), "event", contract.event_id)
            cells, left = count_undoable(connection, event)
            return Withdrawal(contract_id, cells, left, waiting)

    def without_pool(self) -> set[int]:
        """Ids of contracts that need the cells that they froze no more."""
        with self._database.reading() as connection:
            past = db.of_status(connection, db.ACTIVE, db.WITHDRAWN, db.UNDONE)
            return {one.id for one in past if not leaving.may_come_back(one)}

    def _one(self, connection: Connection, contract_id: int) -> Contract:
        contract = require(db.one(connection, contract_id), "contract", contract_id)
        return self._settled(connection, contract)

    def _settled(self, connection: Connection, contract: Contract) -> Contract:
        return contracts.settle(connection, self._workspace.path, contract, self._clock())

    def _state(self, connection: Connection, contract: Contract) -> ContractState:
        """How far it is, also where its pool is lost: then it says so."""
        try:
            return contract_states.state(connection, self._settled(connection, contract))
        except WorkspaceError as error:
            return replace(contract_states.state(connection, contract), trouble=str(error))

    def _withdraw(
        self,
        connection: Connection,
        contract: Contract,
        user_id: int | None,
        reason: str,
        key: str | None = None,
        digest: str | None = None,
    ) -> None:
        if contract.status not in (db.PROPOSED, db.ACTIVE):
            raise Conflict(f"contract {contract.id} is {contract.status} already")
        event_id = None
        if contract.event_id is not None:
            event = require(store.event(connection, contract.event_id), "event", contract.event_id)
            # Marked first: the undo must not take this for an undo by a person.
            db.change(connection, contract.id, status=db.WITHDRAWN)
            event_id = self._take_back(connection, event, user_id, key, digest).id
        db.change(
            connection,
            contract.id,
            status=db.WITHDRAWN,
            withdrawn_event_id=event_id,
            note=reason,
        )

    # --------------------------------------------------------------------------- the questions

    def waiting(self) -> tuple[int, int]:
        """How many cells, of how many pictures, wait for a blind answer."""
        with self._database.reading() as connection:
            return db.count_open_audits(connection)

    def after_decision(
        self, connection: Connection, source: str, changes: Cells, event_id: int, at: datetime
    ) -> None:
        """Take blind decisions as answers; called inside the decision's transaction."""
        if source != contract_questions.AUDIT_SOURCE:
            return

        def withdraw(contract: Contract, reason: str) -> None:
            self._withdraw(connection, contract, None, reason)

        contracts.after_answers(connection, changes, event_id, at, withdraw)
        for contract in db.of_status(connection, db.PROPOSED):
            if contract.kind == finishing.KIND:  # goes on with the next portion by itself
                with suppress(WorkspaceError):  # told with the contract; the answer counts
                    self._settled(connection, contract)


_LONGEST_NOTE = 1_000


@contextmanager
def _explaining() -> Iterator[None]:
    """Say what could be promised instead of what is refused, when the transaction is over."""
    try:
        yield
    except NothingSaved as refused:
        raise refused.explained() from None


def _is_due(connection: Connection, contract: Contract) -> bool:
    if contract.status != db.PROPOSED or contract.config.get("looked"):
        return False
    return not db.waits(connection, contract.id, db.PROPOSAL, db.OUTSIDE)
