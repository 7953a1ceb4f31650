# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import logging
from contextlib import contextmanager

import psycopg2

_logger = logging.getLogger(__name__)


@contextmanager
def advisory_guard(registry, guard: int, row_id: int):
    """Hold a lock that dies with this process, to tell a slow one from a dead one. Yield whether it was free.

    The lock belongs to the session of a second connection, so no transaction stays open while it is held.

    :param guard: first key of the lock, see `const`
    """
    with registry.cursor() as cr:
        cr.execute("SELECT pg_try_advisory_lock(%s, %s)", (guard, row_id))
        free = cr.fetchone()[0]
        # Nothing was written: it ends the transaction, which would stay open during an upload; the lock stays.
        cr.commit()  # pylint: disable=invalid-commit
        try:
            yield free
        finally:
            if free:
                _release(cr, guard, row_id)


def _release(cr, guard, row_id):
    try:
        cr.execute("SELECT pg_advisory_unlock(%s, %s)", (guard, row_id))
    except psycopg2.Error:
        # The connection is gone, and the lock with it.
        _logger.warning("dte_guard_connection_lost guard=%s row=%s", guard, row_id)
