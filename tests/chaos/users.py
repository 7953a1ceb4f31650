# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The people at the counter: they issue what the plan says, and press again when something went wrong."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from dataclasses import replace

from tests.chaos.plan import Order, Plan, Task
from tests.chaos.rpc import Browser, Gone, Refused
from tests.chaos.stage import Stage

_logger = logging.getLogger(__name__)

# How often somebody tries one thing before the run is given up as broken.
TRIES = 60
MOMENT = 0.7


class Gate:
    """Requests of users pass while it is open; the clock moves when it is shut and nobody is inside."""

    def __init__(self):
        self._condition = threading.Condition()
        self._inside = 0
        self._shut = 0

    @contextlib.contextmanager
    def request(self):
        with self._condition:
            self._condition.wait_for(lambda: not self._shut)
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    @contextlib.contextmanager
    def shut(self):
        with self._condition:
            self._shut += 1
            self._condition.wait_for(lambda: not self._inside)
        try:
            yield
        finally:
            with self._condition:
                self._shut -= 1
                self._condition.notify_all()


class User(threading.Thread):
    """One user with the tasks of the plan. `moves` maps references to invoices."""

    def __init__(self, stage: Stage, gate: Gate, number: int, tasks: list[Task]):
        super().__init__(name=f"user-{number}", daemon=True)
        self.stage = stage
        self.sent = 0
        self.again = Counter()
        self.problem = ""
        self.moves: dict[str, int] = {}
        self._trying_again = False
        self._leaves_it = False
        self._gate = gate
        self._tasks = tasks
        self._company = stage.company(number)
        self._browser: Browser = stage.browser(next(name for name in self._company["users"] if name[-1] == str(number)))

    def run(self):
        try:
            self._insist(self._browser.log_in)
            self._work()
        except Exception as error:  # noqa: BLE001 - told by the main thread, which ends the run
            self.problem = f"{self.name}: {type(error).__name__}: {error}"

    def _work(self):
        for task in self._tasks:
            self.do(task)

    def do(self, task: Task):
        invoices = tuple(order for order in task.orders if not order.origin)
        if invoices:
            self._insist(lambda: self._enter(invoices))
            self._insist(lambda: self._post(invoices))
        for note in task.orders:
            if note.origin:
                self._issue_note(note)
        self._script_verdicts(task.orders)
        ids = [self.moves[order.ref] for order in task.orders]
        self._send(ids)
        self.sent += len(ids)
        if task.asks:
            self._ask(ids)

    def _send(self, ids: list[int]):
        # Where there is a job runner, every second time she lets it send.
        self._leaves_it = self.stage.has_queue and not self._leaves_it
        method = "action_send_dte_async" if self._leaves_it else "action_send_to_sii"
        # A button that says no is an answer: the jobs go on from there.
        self._insist(lambda: self._browser.press("account.move", method, ids), accept_no=True)

    def _ask(self, ids: list[int]):
        self._insist(lambda: self._browser.press("account.move", "action_dte_status", ids), accept_no=True)

    def _issue_note(self, note: Order):
        self._insist(lambda: self._note(note))
        try:
            self._insist(lambda: self._post((note,)))
        except Refused:
            # What it corrects was rejected meanwhile, and Odoo says so: she bills the amount instead.
            self._insist(lambda: self._browser.call("account.move", "unlink", [self.moves[note.ref]]))
            del self.moves[note.ref]
            self.again["note of a rejected document"] += 1
            invoice = replace(note, dte_type="33", origin="")
            self._insist(lambda: self._enter((invoice,)))
            self._insist(lambda: self._post((invoice,)))

    def _insist(self, action, accept_no: bool = False):
        """Try until it works, as people do, a moment between two tries."""
        for attempt in range(TRIES):
            self._trying_again = attempt > 0
            try:
                with self._gate.request():
                    return action()
            except Gone as error:
                _logger.info("%s: %s", self.name, error)
                self.again["no answer"] += 1
            except Refused as error:
                _logger.info("%s: %s", self.name, error)
                self.again[error.kind] += 1
                # Anything else is a failure of the server, after which everybody presses again.
                if error.kind.endswith(("UserError", "ValidationError")):
                    if accept_no:
                        return None
                    if attempt >= 2:
                        raise
            time.sleep(MOMENT)
        raise AssertionError(f"gave up after {TRIES} tries: {dict(self.again)}")

    # -- entering --

    def _find(self, orders) -> None:
        """After a failure look up by reference what is there: the answer may have been lost, not the invoice."""
        if not self._trying_again:
            return
        for order in orders:
            if order.ref not in self.moves:
                found = self._browser.call("account.move", "search", [["ref", "=like", f"%{order.ref}"]])
                if found:
                    self.moves[order.ref] = found[0]

    def _enter(self, orders: tuple[Order, ...]):
        self._find(orders)
        missing = [order for order in orders if order.ref not in self.moves]
        if missing:
            ids = self._browser.call("account.move", "create", [self._values(order) for order in missing])
            self.moves.update({order.ref: move for order, move in zip(missing, ids, strict=True)})

    def _values(self, order: Order) -> dict:
        taxes = [] if order.dte_type == "34" else [self._company["vat"]]
        return {
            "move_type": "out_invoice",
            "ref": order.ref,
            "journal_id": self._company["journal"],
            "partner_id": self.stage.told["customers"][order.customer],
            "l10n_latam_document_type_id": self._company["types"][order.dte_type],
            "invoice_line_ids": [
                [0, 0, {"name": name, "quantity": quantity, "price_unit": price, "tax_ids": [[6, 0, taxes]]}]
                for name, quantity, price in order.lines
            ],
        }

    def _note(self, order: Order):
        """Make a credit or debit note with the wizard of the invoice; its reason is the reference."""
        self._find((order,))
        if order.ref in self.moves:
            return
        origin = self.moves[order.origin]
        context = {"active_model": "account.move", "active_ids": [origin]}
        if order.dte_type == "61":
            values = {"journal_id": self._company["journal"], "reason": order.ref, "dte_code": "1"}
            wizard = self._browser.call("account.move.reversal", "create", values, context=context)
            action = self._browser.call("account.move.reversal", "refund_moves", [wizard], context=context)
        else:
            wizard = self._browser.call("account.debit.note", "create", {"reason": order.ref}, context=context)
            action = self._browser.call("account.debit.note", "create_debit", [wizard], context=context)
        self.moves[order.ref] = action["res_id"]

    # -- posting --

    def _post(self, orders):
        ids = [self.moves[order.ref] for order in orders]
        rows = self._browser.call("account.move", "read", ids, ["state", "invoice_line_ids"])
        drafts = [row["id"] for row in rows if row["state"] == "draft"]
        for order in orders:
            row = next(row for row in rows if row["id"] == self.moves[order.ref])
            if order.dte_type == "56" and row["state"] == "draft" and not row["invoice_line_ids"]:
                name, quantity, price = order.lines[0]
                line = {"name": f"Intereses {name}", "quantity": quantity, "price_unit": price}
                self._browser.call("account.move", "write", [row["id"]], {"invoice_line_ids": [[0, 0, line]]})
        if drafts:
            self._browser.press("account.move", "action_post", drafts)

    def _script_verdicts(self, orders):
        """Tell the simulator what it shall find in these documents."""
        for order in orders:
            if order.verdict:
                (row,) = self._insist(
                    lambda order=order: self._browser.call(
                        "account.move", "read", [self.moves[order.ref]], ["dte_folio"]
                    )
                )
                self.stage.sii.call(
                    "POST",
                    "verdict",
                    issuer=self._company["rut"],
                    type=int(order.dte_type),
                    folio=row["dte_folio"],
                    outcome=order.verdict,
                )


class Crowd:
    """All users of the plan at work."""

    def __init__(self, plan: Plan, users: list[User]):
        self.users = users
        self._documents = plan.documents
        self._more = 0

    def start(self) -> None:
        for user in self.users:
            user.start()

    @property
    def documents(self) -> int:
        """How many documents there are to be."""
        return self._documents + self._more

    def issue_more(self) -> None:
        """Issue one more invoice after the users have gone, so that what is still to go wrong meets work."""
        user = self.users[self._more % len(self.users)]
        self._more += 1
        order = Order(f"MORE-{self._more:04d}.", "33", (("Producto de más", 1.0, 1000.0),), 0)
        user.do(Task((order,), asks=False))

    @property
    def at_work(self) -> bool:
        return any(user.is_alive() for user in self.users)

    @property
    def progress(self) -> float:
        return sum(user.sent for user in self.users) / self._documents

    def problems(self) -> list[str]:
        return [user.problem for user in self.users if user.problem]

    def again(self) -> dict[str, int]:
        return dict(sum((user.again for user in self.users), Counter()))
