# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
{
    "name": "Chile - Electronic Invoicing (DTE)",
    "summary": "Signed, stamped electronic tax documents that reach the SII once and only once",
    "version": "19.0.0.1.0",
    "category": "Accounting/Localizations/EDI",
    "author": "l10n_cl_dte maintainers",
    "license": "LGPL-3",
    "countries": ["cl"],
    "depends": ["l10n_cl", "certificate", "account_debit_note"],
    "external_dependencies": {"python": ["cryptography", "lxml", "stdnum", "xmlsec", "zeep"]},
    "data": [],
    "installable": True,
}
