-- Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
-- A copy of a production database cannot speak for the company: it works in the simulator, has no session, and nobody
-- can sign with its certificate. Documents keep the environment in which they were issued, so none of them is sent.
UPDATE res_company
   SET dte_environment = 'simulator',
       dte_simulator_url = NULL,
       dte_certificate_id = NULL;
DELETE FROM dte_sii_session;
