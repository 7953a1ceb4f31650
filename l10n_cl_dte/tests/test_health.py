# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from datetime import timedelta
from unittest.mock import patch

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import HttpCase, tagged

from .common import DteCommon, ServedCursor
from .test_jobs import NEUTRALIZE

PARAMETER = "l10n_cl_dte.health_token_hash"


def job_name(job) -> str:
    return job.get_external_id()[job.id].split(".")[1]


@tagged("post_install_l10n", "post_install", "-at_install")
class TestHealth(ServedCursor, DteCommon, HttpCase):
    def setUp(self):
        super().setUp()
        # Other companies of the database are none of this test's business.
        figures = type(self.env["dte.figures"])
        self.startPatcher(patch.object(figures, "_companies", lambda model: self.company.with_env(model.env)))
        self.token = self.admin_env["dte.health"]._new_token()
        self.jobs = self.env["ir.cron"].sudo().search([("code", "like", "model._cron_%")]).filtered(
            lambda job: job.get_external_id()[job.id].startswith("l10n_cl_dte.")
        )  # fmt: skip
        self.jobs.write({"lastcall": fields.Datetime.now(), "active": True, "failure_count": 0})

    def get(self, path="/dte/health", token=None):
        self.env.flush_all()
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return self.url_open(path, headers=headers)

    def check(self, name, status, pattern="."):
        """The monitor sees this of one check, and all the others are well."""
        answer = self.get()
        report = answer.json()
        troubled = {check["name"]: check for check in report["checks"] if check["status"] != "ok"}
        self.assertEqual(list(troubled), [name])
        self.assertEqual((troubled[name]["status"], report["status"]), (status, status))
        self.assertEqual(answer.status_code, 503 if status == "error" else 200)
        self.assertRegex(troubled[name]["detail"], pattern)

    def ago(self, **delta):
        return fields.Datetime.now() - timedelta(**delta)

    # -- who is let in --

    def test_without_the_token_nothing_is_said(self):
        self.env.flush_all()
        for path in ("/dte/health", "/dte/metrics"):
            for headers in (
                {},
                {"Authorization": ""},
                {"Authorization": "Bearer"},
                {"Authorization": f"Basic {self.token}"},
                {"Authorization": f"Bearer {self.token}x"},
                {"Authorization": f"Bearer {self.hash()}"},
            ):
                answer = self.url_open(path, headers=headers)
                self.assertEqual((answer.status_code, answer.content), (401, b""), headers)

    def hash(self):
        return self.env["ir.config_parameter"].sudo().get_param(PARAMETER)

    def test_off_until_a_token_is_made(self):
        self.admin_env["dte.health"]._forget_token()
        for token in (self.token, ""):
            answer = self.get(token=token)
            self.assertEqual((answer.status_code, answer.content), (404, b""))

    def test_the_token_is_kept_as_a_hash_and_compared_in_constant_time(self):
        self.assertNotIn(self.token, self.hash())
        self.assertEqual(len(self.hash()), 64)
        with patch("odoo.addons.l10n_cl_dte.models.dte_health.consteq", return_value=False) as compare:
            self.assertEqual(self.get().status_code, 401)
        compare.assert_called_once()

    def test_a_new_token_takes_the_place_of_the_old_one(self):
        action = self.admin_env["res.config.settings"].create({}).action_dte_health_token()
        self.assertEqual(self.get().status_code, 401)
        shown = self.admin_env["dte.secret"].with_context(**action["context"]).default_get(["secret", "note"])
        self.assertEqual(self.get(token=shown["secret"]).status_code, 200)

    def test_only_administrators_make_one(self):
        for method in ("_new_token", "_forget_token"):
            with self.assertRaisesRegex(AccessError, "Only an administrator may let others watch"):
                getattr(self.env["dte.health"].with_user(self.dte_user), method)()

    def test_neutralized(self):
        self.env.flush_all()
        self.env.cr.execute(NEUTRALIZE.read_text(encoding="utf-8"))
        self.env.registry.clear_cache()
        self.assertEqual(self.get().status_code, 404)

    # -- what it tells --

    def test_all_is_well(self):
        self.send(self.post())
        answer = self.get()
        report = answer.json()
        self.assertEqual((answer.status_code, report["status"]), (200, "ok"), report["checks"])
        (company,) = report["companies"]
        self.assertEqual((company["rut"], company["waiting"]), (self.rut, 1))
        self.assertRegex(company["waiting_since"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertNotIn("Set-Cookie", answer.headers)

    def test_a_request_writes_nothing(self):
        self.post()
        self.env.cr.flush()
        self.env.cr.execute("SET TRANSACTION READ ONLY")
        self.assertEqual(self.get().status_code, 200)
        self.assertEqual(self.get("/dte/metrics").status_code, 200)

    def test_sii_down(self):
        self.fault("http_status", status=503, count=99)
        self.env.flush_all()
        for _number in range(3):
            ask = self.env["dte.contingency"]._ask_seed
            self.assertTrue(ask(self.company, "simulator", self.simulator.url, "login"))
        report = {check["name"]: check["status"] for check in self.get().json()["checks"]}
        self.assertEqual(report["sii"], "error")

    def test_sii_unreliable(self):
        self.call_log(["ok"] * 7 + ["timeout"] * 4 + ["ok"])
        self.check("sii", "warning", "66.7")

    def test_sii_silent_though_the_breaker_is_off(self):
        self.call_log(["ok", "timeout", "connection", "unavailable"])
        self.check("sii", "error", "in a row: 3")

    def test_a_few_failed_calls_are_not_unreliable(self):
        self.call_log(["timeout", "ok"])
        self.assertEqual(self.get().json()["status"], "ok")

    def test_calls_of_which_nobody_knows_whether_they_were_answered(self):
        self.call_log(["unknown"] * 12)
        self.assertEqual(self.get().json()["status"], "ok")
        self.assertEqual(self.get("/dte/metrics").status_code, 200)

    def test_sii_as_the_breaker_sees_it(self):
        """Contingency may be off by setting: the breaker still knows, though nobody has called since."""
        line = {"company_id": self.company.id, "environment": "simulator"}
        breaker = self.env["dte.contingency"].sudo().create({**line, "breaker": "open"})
        self.check("sii", "error")
        breaker.breaker = "half_open"
        self.check("sii", "warning", "answers again")

    def call_log(self, outcomes):
        for number, outcome in enumerate(outcomes):
            self.env["dte.sii.call"].sudo().create(
                {
                    "company_id": self.company.id,
                    "environment": "simulator",
                    "service": "upload",
                    "outcome": outcome,
                    "milliseconds": 100,
                    "called_at": self.ago(minutes=60 - number),
                }
            )

    def test_queue_growing(self):
        document = self.post().dte_document_id.sudo()
        document.queued_at = self.ago(minutes=20)
        self.assertEqual(self.get().json()["status"], "ok")
        document.queued_at = self.ago(minutes=40)
        self.check("queue", "warning", "Documents to leave: 1; the first one has waited for 40 minutes")
        document.queued_at = self.ago(hours=3)
        self.check("queue", "error")

    def test_the_age_of_the_queue_is_that_of_its_oldest_wish(self):
        """An older document that somebody asks for now does not make the queue look young."""
        older, waiting = self.post().dte_document_id.sudo(), self.post().dte_document_id.sudo()
        older.signed_at = self.ago(days=2)
        waiting.queued_at = self.ago(hours=3)
        older.queued_at = fields.Datetime.now()
        self.check("queue", "error", "Documents to leave: 2; the first one has waited for 180 minutes")
        waiting.ask_first = True
        self.assertEqual(self.get().json()["status"], "ok", "the job of the retries asks first, once an hour")

    def test_a_note_that_waits_for_its_invoice_is_no_growing_queue(self):
        first, second = self.post().dte_document_id.sudo(), self.post().dte_document_id.sudo()
        second.write({"queued_at": self.ago(hours=3), "reference_ids": [(4, first.id)]})
        self.assertEqual(self.get().json()["status"], "ok")

    def test_retry_queue_growing(self):
        for _number in range(11):
            document = self.post().dte_document_id.sudo()
            document._set_state("retry")
            self.env["dte.failed.queue"].sudo().create(
                {
                    "document_id": document.id,
                    "company_id": self.company.id,
                    "environment": "simulator",
                    "dte_type": "33",
                    "folio": document.folio,
                    "rut_emisor": self.rut,
                    "error_type": "timeout",
                }
            )
        self.check("queue", "warning", "retry queue: 11")

    def test_paused(self):
        self.env["dte.pause"].sudo()._begin(self.company, "simulator", "sii_upload_forbidden", {})
        self.check("queue", "error", "paused")

    def test_documents_for_a_person(self):
        document = self.post().dte_document_id.sudo()
        for state, pattern in (
            ("rejected", "^Rejected documents: 1.$"),
            ("failed", "^Documents that could not be sent: 1.$"),
            ("no_answer", "^Documents without an answer for days: 1.$"),
        ):
            document._set_state(state)
            self.check("documents", "warning", pattern)

    def test_folios_ending(self):
        self.post()
        self.day(issued=1000, issued_by_type={"33": 1000})
        self.check("folios", "error", "99 folios of type 33 last 2 days")
        self.day(issued=270, issued_by_type={"33": 270})
        self.check("folios", "warning", "last 10 days")

    def day(self, **values):
        days = self.env["dte.daily"].sudo()
        day = self.company._dte_now().date() - timedelta(days=29)
        row = days.search([("company_id", "=", self.company.id), ("day", "=", day)])
        # The folios of 30 days, seen from the first of them.
        row = row or days.create({"company_id": self.company.id, "environment": "simulator", "day": day})
        row.write(values)

    def test_folios_used_up(self):
        self.env["dte.caf"].sudo().search([("company_id", "=", self.company.id), ("dte_type", "=", "56")]).write(
            {"expires_on": self.ago(days=40)}
        )
        self.check("folios", "warning", "56 has no folios")
        self.day(issued=3, issued_by_type={"56": 3})
        self.check("folios", "error", "56 has no folios")

    def test_certificate_ending(self):
        certificate = self.company.sudo().dte_certificate_id
        for days, status, pattern in (
            (20, "warning", "20 more days"),
            (3, "error", "3 more"),
            (-1, "error", "expired"),
        ):
            certificate.date_end = fields.Datetime.now() + timedelta(days=days, minutes=5)
            self.env.flush_all()
            self.check("certificate", status, pattern)
        self.company.sudo().dte_certificate_id = False
        self.check("certificate", "error", "no digital certificate")

    def test_archive_broken(self):
        self.post().dte_document_id.sudo().backup_id.check_state = "damaged"
        self.check("archive", "error", "Damaged documents in the archive: 1")

    def test_archive_not_checked(self):
        self.post()
        self.env["dte.daily"].sudo()._sum_up(self.company)
        scrub = self.env["dte.backup.scrub"].sudo().create(
            {"company_id": self.company.id, "started_at": self.ago(days=4), "finished_at": self.ago(days=4)}
        )  # fmt: skip
        self.check("archive", "warning", "not been checked")
        scrub.finished_at = self.ago(days=7)
        self.check("archive", "error", "not been checked")
        scrub.finished_at = self.ago(days=1)
        self.assertEqual(self.get().json()["status"], "ok")
        scrub.damaged = 2
        self.check("archive", "error", "Damaged documents in the archive: 2")

    def test_archive_never_checked(self):
        """Measuring it every night is no check."""
        backup = self.post().dte_document_id.sudo().backup_id
        self.make_older(backup, days=4)
        self.env["dte.daily"].sudo()._sum_up(self.company)
        self.check("archive", "warning", "not been checked")
        self.make_older(backup, days=7)
        self.check("archive", "error", "not been checked")
        checks = self.env["dte.backup.scrub"].sudo()
        checks.create({"company_id": self.company.id, "started_at": self.ago(hours=1)})
        self.check("archive", "error", "not been checked")
        checks.create(
            {"company_id": self.company.id, "started_at": self.ago(hours=1), "finished_at": self.ago(hours=1)}
        )
        self.assertEqual(self.get().json()["status"], "ok")

    def test_an_empty_archive_needs_no_check(self):
        days = self.env["dte.daily"].sudo()
        days._sum_up(self.company)
        days.search([("company_id", "=", self.company.id)]).measured_at = self.ago(days=9)
        self.assertEqual(self.get().json()["status"], "ok")

    def test_archive_not_copied(self):
        backup = self.post().dte_document_id.sudo().backup_id
        self.company.sudo().dte_archive_url = f"memory://{self.rut}"
        self.assertEqual(self.get().json()["status"], "ok")
        self.make_older(backup, hours=2)
        self.check("archive", "warning", "second copy: 1")
        self.make_older(backup, hours=25)
        self.check("archive", "error", "second copy: 1")

    def make_older(self, backup, **delta):
        self.env.cr.execute("ALTER TABLE dte_backup DISABLE TRIGGER USER")
        self.env.cr.execute("UPDATE dte_backup SET create_date = %s WHERE id = %s", [self.ago(**delta), backup.id])
        self.env.cr.execute("ALTER TABLE dte_backup ENABLE TRIGGER USER")

    def test_contingency_lasting(self):
        manager = self.env["dte.contingency"].with_user(self.admin)
        manager.with_context(allowed_company_ids=self.company.ids).enable_contingency("maintenance")
        self.check("contingency", "warning")
        self.env["dte.contingency"]._of(self.company, "simulator").enabled_date = self.ago(hours=25)
        self.check("contingency", "error", "1500 minutes")
        self.company.sudo().dte_alert_contingency_hours = 48
        self.check("contingency", "warning")

    def test_jobs_not_running(self):
        job = self.env.ref("l10n_cl_dte.ir_cron_check_status").sudo()
        job.create_date = self.ago(days=1)
        self.env.cr.execute("UPDATE ir_cron SET create_date = %s WHERE id = %s", [self.ago(days=9), job.id])
        job.lastcall = self.ago(minutes=55)
        self.assertEqual(self.get().json()["status"], "ok")
        job.lastcall = self.ago(minutes=65)
        self.check("jobs", "error", "ir_cron_check_status has not come to its end")
        # At work without a pause is not late.
        progress = self.env["ir.cron.progress"].sudo().create({"cron_id": job.id, "done": 1})
        self.assertEqual(self.get().json()["status"], "ok")
        progress.unlink()
        # Whoever fails runs often.
        job.write({"lastcall": fields.Datetime.now(), "failure_count": 3, "first_failure_date": self.ago(hours=2)})
        self.check("jobs", "error")
        job.write({"failure_count": 0, "active": False})
        self.check("jobs", "error", "switched off")

    def test_a_job_that_is_not_vital(self):
        self.env.ref("l10n_cl_dte.ir_cron_archive_cleanup").sudo().active = False
        self.check("jobs", "warning")

    # -- OpenMetrics --

    def test_metrics(self):
        self.send(self.post())
        self.post().dte_document_id.sudo()._set_state("rejected")
        answer = self.get("/dte/metrics")
        self.assertEqual(answer.status_code, 200)
        self.assertIn("application/openmetrics-text", answer.headers["Content-Type"])
        samples = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }
        line = (("company", self.rut), ("environment", "simulator"))
        self.assertEqual(samples[("l10n_cl_dte_status",)], 1)
        self.assertEqual(samples[("l10n_cl_dte_documents", *line, ("state", "waiting"))], 1)
        self.assertEqual(samples[("l10n_cl_dte_check", ("company", self.rut), ("name", "documents"))], 1)
        self.assertEqual(samples[("l10n_cl_dte_folios_free", *line, ("type", "33"))], 98)
        self.assertEqual(samples[("l10n_cl_dte_sii_availability_percent", *line)], 100)
        self.assertNotIn(("l10n_cl_dte_retry_success_percent", *line), samples)

    def samples(self):
        return {
            (sample.name.removeprefix("l10n_cl_dte_"), *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(self.get("/dte/metrics").text)
            for sample in family.samples
        }

    def test_metrics_of_the_poller(self):
        """How late it is, and whether it runs, fails or is off: what its lines in the log tell."""
        line = (self.rut, "simulator")
        move = self.post()
        self.send(move)
        samples = self.samples()
        self.assertEqual((samples[("polls_due", *line)], samples[("polls_late_seconds", *line)]), (0, 0))
        move.dte_document_id.sudo().envio_id.next_poll_date = self.ago(minutes=10)
        job = self.env.ref("l10n_cl_dte.ir_cron_check_status").sudo()
        self.env.cr.execute("UPDATE ir_cron SET create_date = %s WHERE id = %s", [self.ago(days=9), job.id])
        job.write({"lastcall": self.ago(minutes=20)})
        samples = self.samples()
        self.assertEqual(samples[("polls_due", *line)], 1)
        self.assertAlmostEqual(samples[("polls_late_seconds", *line)], 600, delta=60)
        self.assertEqual((samples["job_active", job_name(job)], samples["job_failures", job_name(job)]), (1, 0))
        self.assertAlmostEqual(samples["job_good_age_seconds", job_name(job)], 1200, delta=60)
        job.write({"failure_count": 3, "first_failure_date": self.ago(hours=2), "active": False})
        samples = self.samples()
        self.assertEqual((samples["job_active", job_name(job)], samples["job_failures", job_name(job)]), (0, 3))
        self.assertAlmostEqual(samples["job_good_age_seconds", job_name(job)], 7200, delta=60)
