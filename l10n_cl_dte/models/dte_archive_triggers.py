# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What PostgreSQL itself refuses to do to the archive, whoever asks: Odoo, a script or an administrator with psql."""

from odoo.tools import SQL

# Source: Código Tributario art. 200: the SII may review six years back.
LEGAL_YEARS = 6

# Text that a seal covers. Dates are written out, so that it does not depend on the settings of the session.
IDENTITY = """concat_ws('|', b.company_id, b.environment, b.dte_type, b.folio, b.version, b.rut_emisor,
    to_char(b.issue_date, 'YYYY-MM-DD'), to_char(b.create_date, 'YYYY-MM-DD'), b.sha256)"""

# Day from which a row may be deleted: the term counts from the document or from its archiving, whichever is later.
DELETABLE_FROM = f"""(GREATEST(b.issue_date, b.create_date::date)
    + make_interval(years => GREATEST({LEGAL_YEARS}, COALESCE(c.dte_archive_years, {LEGAL_YEARS}))))::date"""

# Only constants of this file stand in it.
_BACKUP = f"""
CREATE OR REPLACE FUNCTION dte_backup_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    deletable date;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        RAISE restrict_violation USING MESSAGE = 'dte_backup: the archive is never emptied';
    ELSIF TG_OP = 'DELETE' THEN
        SELECT {DELETABLE_FROM.replace("b.", "OLD.")} INTO deletable FROM res_company c WHERE c.id = OLD.company_id;
        IF deletable IS NULL OR deletable > CURRENT_DATE THEN
            RAISE restrict_violation USING MESSAGE = format(
                'dte_backup: %s-%s is kept at least until %s', OLD.dte_type, OLD.folio, deletable);
        END IF;
        RETURN OLD;
    ELSIF (NEW.id, NEW.company_id, NEW.environment, NEW.dte_type, NEW.folio, NEW.version, NEW.rut_emisor,
           NEW.issue_date, NEW.sha256, NEW.xml_size, NEW.create_date)
          IS DISTINCT FROM
          (OLD.id, OLD.company_id, OLD.environment, OLD.dte_type, OLD.folio, OLD.version, OLD.rut_emisor,
           OLD.issue_date, OLD.sha256, OLD.xml_size, OLD.create_date) THEN
        RAISE restrict_violation USING MESSAGE = 'dte_backup: what identifies a document never changes';
    ELSIF OLD.move_id IS NOT NULL AND NEW.move_id IS DISTINCT FROM OLD.move_id
       OR OLD.track_id IS NOT NULL AND NEW.track_id IS DISTINCT FROM OLD.track_id
       OR OLD.sent_date IS NOT NULL AND NEW.sent_date IS DISTINCT FROM OLD.sent_date THEN
        RAISE restrict_violation USING MESSAGE = 'dte_backup: invoice, track id and date of sending are written once';
    END IF;
    RETURN NEW;
END $$;

-- Odoo keeps a binary column as base64. What is not base64 fails in decode().
CREATE OR REPLACE FUNCTION dte_backup_content_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF encode(sha256(decode(convert_from(NEW.xml_content, 'LATIN1'), 'base64')), 'hex')
       IS DISTINCT FROM NEW.sha256 THEN
        RAISE restrict_violation USING MESSAGE = 'dte_backup: the bytes do not fit their hash';
    END IF;
    RETURN NEW;
END $$;

DROP TRIGGER IF EXISTS dte_backup_guard ON dte_backup;
CREATE TRIGGER dte_backup_guard BEFORE UPDATE OR DELETE ON dte_backup
    FOR EACH ROW EXECUTE FUNCTION dte_backup_guard();
DROP TRIGGER IF EXISTS dte_backup_guard_truncate ON dte_backup;
CREATE TRIGGER dte_backup_guard_truncate BEFORE TRUNCATE ON dte_backup
    FOR EACH STATEMENT EXECUTE FUNCTION dte_backup_guard();
DROP TRIGGER IF EXISTS dte_backup_content_guard ON dte_backup;
CREATE TRIGGER dte_backup_content_guard BEFORE INSERT OR UPDATE OF xml_content ON dte_backup
    FOR EACH ROW EXECUTE FUNCTION dte_backup_content_guard();
"""  # noqa: S608

_SEAL = """
CREATE OR REPLACE FUNCTION dte_backup_seal_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (NEW.id, NEW.company_id, NEW.number, NEW.identity, NEW.previous_hash, NEW.hash, NEW.create_date)
           IS NOT DISTINCT FROM
           (OLD.id, OLD.company_id, OLD.number, OLD.identity, OLD.previous_hash, OLD.hash, OLD.create_date)
           AND (NEW.backup_id IS NOT DISTINCT FROM OLD.backup_id
                -- The foreign key lets go of a row that was deleted after its term.
                OR NEW.backup_id IS NULL AND NOT EXISTS (SELECT FROM dte_backup b WHERE b.id = OLD.backup_id))
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE restrict_violation USING MESSAGE = 'dte_backup_seal: seals are never changed or deleted';
END $$;

DROP TRIGGER IF EXISTS dte_backup_seal_guard ON dte_backup_seal;
CREATE TRIGGER dte_backup_seal_guard BEFORE UPDATE OR DELETE ON dte_backup_seal
    FOR EACH ROW EXECUTE FUNCTION dte_backup_seal_guard();
DROP TRIGGER IF EXISTS dte_backup_seal_guard_truncate ON dte_backup_seal;
CREATE TRIGGER dte_backup_seal_guard_truncate BEFORE TRUNCATE ON dte_backup_seal
    FOR EACH STATEMENT EXECUTE FUNCTION dte_backup_seal_guard();
"""

_DROP = """
DROP FUNCTION IF EXISTS dte_backup_guard() CASCADE;
DROP FUNCTION IF EXISTS dte_backup_content_guard() CASCADE;
DROP FUNCTION IF EXISTS dte_backup_seal_guard() CASCADE;
"""


def guard_backups(cr):
    """Create the triggers of `dte_backup`, or renew them."""
    cr.execute(_BACKUP)


def guard_seals(cr):
    """Create the triggers of `dte_backup_seal`, or renew them."""
    cr.execute(_SEAL)


def drop_guards(cr):
    """Take the triggers away, for the removal of the addon."""
    cr.execute(_DROP)


def identity_sql() -> SQL:
    """Return the text that a seal covers, of a row `b` of dte_backup."""
    return SQL(IDENTITY)  # pylint: disable=sql-injection


def deletable_from_sql() -> SQL:
    """Return the day from which a row `b` of dte_backup of the company `c` may be deleted."""
    return SQL(DELETABLE_FROM)  # pylint: disable=sql-injection
