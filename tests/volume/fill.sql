-- Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
-- A company after 1,000,000 documents in 100,000 envelopes, most of them accepted, with some of everything still open:
-- 2,000 to be sent, 20,000 to be retried (half of them due), 5,000 without a verdict, some in doubt, untold or split,
-- 10,000 held in contingency beside the records of 100,000 that were, the last 500,000 calls to the SII, the archive of
-- all of them, and the retry queue with 100,000 rows that are done.

CREATE TEMPORARY TABLE made ON COMMIT DROP AS
SELECT n,
       CASE WHEN n > 997000 THEN 'to_send'
            WHEN n > 992000 THEN 'sent'
            WHEN n > 991950 THEN 'unknown'
            WHEN n > 991940 THEN 'sending'
            WHEN n > 880000 AND n <= 890000 THEN 'contingency'
            WHEN n > 891900 AND n %% 5 = 0 AND n <= 991900 THEN 'retry'
            WHEN n %% 1000 = 1 THEN 'failed'
            WHEN n %% 200 = 1 THEN 'rejected'
            WHEN n %% 100 = 1 THEN 'objected'
            ELSE 'accepted' END AS state
  FROM generate_series(1, 1000000) n;

INSERT INTO dte_envio (id, company_id, environment, state, document_count, attempts, sender_rut, track_id, sha256,
                       first_attempted_at, attempted_at, due_at, polled_at, next_poll_date, sii_state, twice)
SELECT n, %(company)s, 'simulator',
       CASE WHEN n > 99995 THEN 'planned'
            WHEN n > 99200 AND n <= 99700 THEN 'sent'
            WHEN n > 99195 AND n <= 99200 THEN 'unknown'
            WHEN n = 99195 THEN 'sending'
            WHEN n %% 200 = 0 THEN 'rejected'
            ELSE 'processed' END,
       10, 1, '11111111-1', CASE WHEN n < 99195 THEN (1000000000 + n)::text END, repeat('0', 64),
       now() - make_interval(mins => 100000 - n), now() - make_interval(mins => 100000 - n),
       CASE WHEN n > 99194 AND n <= 99200 THEN now() END,
       CASE WHEN n <= 99600 THEN now() - make_interval(mins => 100000 - n) END,
       CASE WHEN n > 99200 AND n <= 99700 THEN now() + make_interval(mins => (n - 99500) / 10) END,
       CASE WHEN n %% 200 = 0 THEN 'RFR' ELSE 'EPR' END, false
  FROM generate_series(1, 100000) n;
UPDATE dte_envio SET parent_id = id - 200 WHERE id > 99700 AND id %% 200 = 0;
SELECT setval('dte_envio_id_seq', 100000);

INSERT INTO dte_document (id, company_id, environment, dte_type, document_type_id, folio, version, superseded,
                          issuer_rut, receiver_rut, receiver_name, issue_date, signed_at, amount_total, state,
                          envio_id, queued_at, failures, retry_at, split_envio_id, ask_first, told,
                          is_contingency)
SELECT n, %(company)s, 'simulator', CASE WHEN n %% 20 = 0 THEN '61' ELSE '33' END, doc_type.id, n, 1, false,
       %(rut)s, '88888888-8', 'Cliente', now()::date - (1000000 - n) / 3000,
       now() - make_interval(secs => 30 * (1000000 - n)), 1190, state,
       CASE WHEN state NOT IN ('to_send', 'contingency', 'failed') THEN n / 10 + 1 END,
       CASE WHEN n <= 997000 OR n > 998000 THEN now() - make_interval(secs => 30 * (1000000 - n)) END,
       CASE WHEN state = 'retry' OR (state = 'contingency' AND n %% 100 = 0) THEN 1 ELSE 0 END,
       CASE WHEN state = 'retry' THEN now() + make_interval(mins => (n - 941900) / 100) END,
       CASE WHEN n > 999980 THEN 100000 WHEN n > 999960 THEN 99800 END,
       state = 'retry' AND n %% 1000 = 0, n <= 997000 OR n %% 100 > 0,
       state = 'contingency' OR n BETWEEN 700001 AND 800000
  FROM made, (SELECT min(id) AS id FROM l10n_latam_document_type WHERE code = '33') doc_type;
SELECT setval('dte_document_id_seq', 1000000);

INSERT INTO dte_document_reference_rel (document_id, referenced_id)
SELECT n, n - 1 - n %% 7 FROM generate_series(20, 1000000, 20) n;

INSERT INTO dte_contingency_episode (id, company_id, environment, started_at, ended_at, automatic, drill, reason, told_end)
SELECT n, %(company)s, 'simulator', now() - make_interval(days => 101 - n),
       CASE WHEN n <= 100 THEN now() - make_interval(days => 100 - n) END, true, false, 'sii_unavailable', n <= 100
  FROM generate_series(1, 101) n;
SELECT setval('dte_contingency_episode_id_seq', 101);

INSERT INTO dte_contingency (company_id, environment, enabled, automatic, reason, breaker, episode_id)
VALUES (%(company)s, 'simulator', false, true, 'sii_unavailable', 'closed', 101);

INSERT INTO dte_contingency_pending (episode_id, document_id, company_id, environment, dte_type, folio, rut_emisor,
                                     issue_date, stored_date, state, uploaded)
SELECT CASE WHEN d.state = 'contingency' THEN 101 ELSE 1 + d.id %% 100 END, d.id, d.company_id, d.environment,
       d.dte_type, d.folio, d.issuer_rut, d.issue_date, d.signed_at,
       CASE WHEN d.state = 'contingency' THEN 'held' ELSE 'uploaded' END, d.state <> 'contingency'
  FROM dte_document d WHERE d.is_contingency;

INSERT INTO dte_sii_call (company_id, environment, service, outcome, milliseconds, called_at)
SELECT %(company)s, 'simulator', CASE WHEN n %% 4 = 0 THEN 'upload' ELSE 'envelope_status' END,
       CASE WHEN n %% 50 = 0 THEN 'timeout' ELSE 'ok' END, 100, now() - make_interval(secs => 15 * (500000 - n))
  FROM generate_series(1, 500000) n;

INSERT INTO dte_failed_queue (document_id, company_id, environment, dte_type, folio, rut_emisor, error_type, failed_date,
                              last_retry_date, next_retry_date, success_date, state, retry_count, max_retries)
SELECT d.id, d.company_id, d.environment, d.dte_type, d.folio, d.issuer_rut, 'timeout', d.signed_at, d.signed_at,
       d.retry_at, CASE WHEN d.state = 'accepted' THEN d.signed_at + interval '1 hour' END,
       CASE WHEN d.state = 'retry' THEN 'pending' WHEN d.state = 'failed' THEN 'abandoned' ELSE 'success' END, 1, 5
  FROM dte_document d
 WHERE d.state IN ('retry', 'failed') OR (d.state = 'accepted' AND d.id %% 10 = 3);

INSERT INTO dte_backup (company_id, environment, dte_type, folio, version, rut_emisor, issue_date, create_date,
                        xml_content, xml_size, sha256, file_state, check_state, sealed)
SELECT d.company_id, d.environment, d.dte_type, d.folio, 1, d.issuer_rut, d.issue_date, d.signed_at,
       convert_to('PERURS8+', 'LATIN1'), 4000, encode(sha256('<DTE/>'), 'hex'),
       CASE WHEN d.id > 980000 THEN 'pending' ELSE 'written' END, CASE WHEN d.id = 500 THEN 'damaged' ELSE 'intact' END,
       d.id <= 990000
  FROM dte_document d;

INSERT INTO dte_caf (company_id, environment, issuer_rut, dte_type, folio_from, folio_to, authorized_on, active,
                     xml_content)
SELECT %(company)s, 'simulator', %(rut)s, type, 20000 * n + 1, 20000 * n + 20000, now()::date, true, ''
  FROM generate_series(0, 49) n, unnest(ARRAY['33', '61']) type;

-- The invoices of the last range. Those of all others would take long to write and stand in the same indexes.
INSERT INTO account_move (company_id, journal_id, currency_id, state, move_type, auto_post, date, name, sequence_prefix,
                          sequence_number, dte_environment, l10n_latam_document_type_id)
SELECT %(company)s, journal.id, currency.id, 'posted', 'out_invoice', 'no', now()::date, 'F ' || lpad(n::text, 7, '0'),
       'F ', n, 'simulator', doc_type.id
  FROM (SELECT min(id) AS id FROM l10n_latam_document_type WHERE code = '33') doc_type,
       (SELECT min(id) AS id FROM account_journal) journal,
       (SELECT min(id) AS id FROM res_currency) currency,
       generate_series(980001, 1000000) n
 WHERE n %% 20 > 0;
