# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Values shared by several models."""

from zoneinfo import ZoneInfo

ENVIRONMENTS = [
    ("simulator", "Simulator"),
    ("certification", "Certification (Maullín)"),
    ("production", "Production (Palena)"),
]

# Types that this addon issues from invoices. Dispatch guides (52) come from deliveries.
INVOICE_TYPES = ("33", "34", "56", "61")

REFERENCE_CODES = [
    ("1", "Annuls the referenced document"),
    ("2", "Corrects text of the referenced document"),
    ("3", "Corrects amounts of the referenced document"),
]

# When a document goes to its receiver's system; before the SII has accepted it, never.
EXCHANGE_WHEN = [
    ("accepted", "As soon as the SII has accepted the document"),
    ("invoice", "When the invoice is sent to the customer"),
    ("never", "Only when somebody presses the button"),
]

# The SII's dates and times are wall time here, whatever the server's zone.
SANTIAGO = ZoneInfo("America/Santiago")

# First key of PostgreSQL advisory locks, so that they never meet those of other addons. The second key is a row id.
GUARD_ENVIO = 1_144_407_041
# One writer of the chain of seals per company. The second key is the company.
GUARD_SEAL = 1_144_407_042
# One envelope of held documents at a time. The second key is the contingency.
GUARD_DRAIN = 1_144_407_043
# One process at a time asks about an envelope's verdict. The second key is the envelope.
GUARD_POLL = 1_144_407_044
