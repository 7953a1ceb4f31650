# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
{
    "name": "Chile - Electronic Invoicing (DTE) by Job Queue",
    "summary": "Sends electronic documents and asks for verdicts in OCA's job runner",
    "version": "19.0.0.1.0",
    "category": "Accounting/Localizations/EDI",
    "author": "l10n_cl_dte maintainers",
    "license": "LGPL-3",
    "countries": ["cl"],
    "depends": ["l10n_cl_dte", "queue_job"],
    "data": ["data/queue_job_data.xml"],
    "auto_install": True,
    "uninstall_hook": "uninstall_hook",
}
