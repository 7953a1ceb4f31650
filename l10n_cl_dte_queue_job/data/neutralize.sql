-- Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
-- Jobs of the original are not a copy's to run.
UPDATE queue_job
   SET state = 'cancelled', date_cancelled = now() AT TIME ZONE 'UTC'
 WHERE job_function_id IN (
           SELECT res_id FROM ir_model_data WHERE module = 'l10n_cl_dte_queue_job' AND model = 'queue.job.function'
       )
   AND state NOT IN ('done', 'cancelled', 'failed');
