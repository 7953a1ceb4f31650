# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Two processes post at the same time, over two journals and two CAFs."""

import json
import os
import threading
from collections import Counter
from pathlib import Path

import psycopg2

from dev import databases
from dev import env as environment

HERE = Path(__file__).parent
COUNT = 200
START = 77
JOURNALS = 2


def run(script, log, **variables):
    env = environment.load()
    return databases.run_script(env, os.environ["DTE_DATABASE"], HERE / script, log, **variables)


def connect():
    env = environment.load()
    return psycopg2.connect(host=env.pg_host, port=env.pg_port, user=env.pg_user, dbname=os.environ["DTE_DATABASE"])


def wait_until_both_stand_at_the_start(cursor, threads):
    while True:
        assert all(thread.is_alive() for thread in threads), "a process ended before the start"
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted", [START]
        )
        if cursor.fetchone()[0] == JOURNALS:
            return


def test_two_processes_take_distinct_folios_without_gap(tmp_path):
    drafts = tmp_path / "drafts.json"
    variables = {"DRAFTS_FILE": str(drafts), "DTE_SIMULATOR_URL": os.environ["DTE_SIMULATOR_URL"]}
    assert run("prepare_drafts.py", tmp_path / "prepare.log", DRAFTS=str(COUNT), **variables) == 0, (
        tmp_path / "prepare.log"
    ).read_text()

    codes = {}

    def post(journal):
        codes[journal] = run(
            "post_drafts.py",
            tmp_path / f"{journal}.log",
            JOURNAL=str(journal),
            RESULT_FILE=str(tmp_path / f"{journal}.json"),
            **variables,
        )

    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [START])
        threads = [threading.Thread(target=post, args=[journal]) for journal in range(JOURNALS)]
        for thread in threads:
            thread.start()
        wait_until_both_stand_at_the_start(cursor, threads)
        cursor.execute("SELECT pg_advisory_unlock(%s)", [START])
        for thread in threads:
            thread.join()
    logs = "\n".join((tmp_path / f"{journal}.log").read_text() for journal in range(JOURNALS))
    assert codes == {0: 0, 1: 0}, logs
    results = [json.loads((tmp_path / f"{journal}.json").read_text()) for journal in range(JOURNALS)]
    assert [result["posted"] for result in results] == [COUNT] * JOURNALS
    assert [result["replays"] for result in results] == [0] * JOURNALS, logs

    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT folio FROM dte_document ORDER BY folio")
        folios = [folio for (folio,) in cursor.fetchall()]
        cursor.execute(
            "SELECT count(*) FROM dte_document JOIN dte_backup USING (folio, dte_type) WHERE state = 'to_send'"
        )
        archived = cursor.fetchone()[0]
        cursor.execute("SELECT journal_id, name FROM account_move WHERE dte_document_id IS NOT NULL")
        names = Counter(name for _journal, name in cursor.fetchall())
    # The first range is used up to its end, then the second from its start, and nothing is missing between.
    assert folios == [*range(1, COUNT + 1), *range(5001, 5001 + COUNT)]
    assert archived == JOURNALS * COUNT
    assert max(names.values()) == 1
