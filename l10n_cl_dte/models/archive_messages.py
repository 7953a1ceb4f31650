# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What the archive has to tell, by code, in the user's language."""

from odoo.tools import LazyTranslate

from .dte_messages import describe

_lt = LazyTranslate(__name__)

ARCHIVE = {
    "archive_target_invalid": _lt(
        "%(target)s cannot be used as the archive. Write the full path of a folder, like /mnt/archive, or an address "
        "that fsspec knows, like s3://bucket/folder, and install the package that it needs."
    ),
    "archive_target_missing": _lt(
        "The archive folder %(target)s is not there, or its disk is not mounted. Mount it, or create it and press "
        "Use This Folder in the settings."
    ),
    "archive_target_failed": _lt("The archive cannot be used now: %(detail)s. It is tried again by itself."),
    "archive_target_unset": _lt("No archive folder is set."),
    "archive_file_missing": _lt("The file is missing in the archive folder."),
    "archive_other_document": _lt(
        "The archive folder already holds another signed document with this name. Check whether another database "
        "writes to the same folder."
    ),
    "archive_row_damaged": _lt("The database row is damaged and no intact copy was found to repair it."),
    "archive_file_damaged": _lt("The file in the archive folder is damaged."),
    "archive_file_empty": _lt("The companion file is there but the document is missing."),
    "archive_signature_invalid": _lt("The signature of the document is not valid."),
    "archive_repaired_row": _lt("The database row was damaged and was repaired from a copy."),
    "archive_repaired_file": _lt("The file in the archive folder was missing or damaged and was written again."),
    "archive_row_removed": _lt("The archive row of %(identity)s was removed."),
    "archive_row_missing": _lt("The document has no archive row: it was removed."),
    "archive_row_changed": _lt("The archive row was changed after it was sealed."),
    "archive_row_inserted": _lt("The archive row does not belong to any document."),
    "archive_seal_changed": _lt("Seal %(number)s does not fit the one before it: the chain was changed."),
    "archive_seal_missing": _lt("The archive row was sealed, but its seal is gone."),
    "archive_unreadable": _lt("The file is not a signed document."),
    "archive_hash_differs": _lt("The file is not what its companion file describes."),
    "archive_name_differs": _lt("The document inside does not fit the name of the file."),
    "archive_conflict": _lt("Other bytes are archived here for this document."),
    "archive_document_busy": _lt("Somebody else is working on this document now. Restore it again."),
    "archive_type_unknown": _lt("The document type is not known here."),
}


def tell(env, code: str, params: dict | None = None) -> str:
    """Return the sentence of an archive code."""
    return describe(env, ARCHIVE, code, params)


def tell_error(env, error) -> str:
    """Return what to tell about an ArchiveError."""
    return describe(env, ARCHIVE, error.code, error.params)
