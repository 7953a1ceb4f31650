-- Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
-- A copy of a production database cannot speak for the company: it works in the simulator, has no session, nobody can
-- sign with its certificate, it does not write into the company's archive folder, it tells other systems nothing, no customer
-- gets mail from it, and no monitor takes it for the original. Documents keep the environment in which they were issued, so none is sent.
UPDATE res_company
   SET dte_environment = 'simulator',
       dte_simulator_url = NULL,
       dte_certificate_id = NULL,
       dte_permission_answer = NULL,
       dte_permission_asked_at = NULL,
       dte_archive_url = NULL;
DELETE FROM dte_sii_session;
UPDATE dte_contingency SET breaker = 'closed', good_probes = 0, probe_at = NULL;
UPDATE dte_webhook SET active = FALSE;
DELETE FROM ir_config_parameter WHERE key = 'l10n_cl_dte.health_token_hash';
UPDATE res_company SET dte_exchange_when = 'never';
UPDATE res_partner SET dte_exchange_when = NULL WHERE dte_exchange_when IS NOT NULL;
UPDATE dte_exchange SET state = 'failed', problem_code = 'copy_of_database', problem_params = NULL
 WHERE state = 'to_send';
