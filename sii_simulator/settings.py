# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Behaviour that can be chosen: every setting with its default and what it accepts."""

import json

from .errors import UsageError

STAGES = ("registered", "schema", "caratula", "firma", "process", "final", "mail")

DEFAULTS = {
    # Seconds of simulated time before each stage of an envelope, counted from the previous one.
    "delays": dict.fromkeys(STAGES, 0),
    "seed_ttl": 120,
    "seed_single_use": True,
    "token_ttl": 3600,
    "unauthenticated_upload": "status",
    "soap_form": "A",
    "body_first": True,
    "num_atencion": "dated",
    "processing_state": "PDR",
    "drop_types": [],
    "schema_errors": "upload",
    "signature_errors": "later",
    "signature_whitespace": "refuse",
    "timbre_errors": "reject",
    "chunked": "400",
    "line_limit": 4090,
    "min_upload_bytes": 1,
    "max_upload_bytes": 32 * 1024 * 1024,
    "dedupe_seconds": 900,
    "rejected_folio_reuse": True,
    "blocked": False,
}

CHOICES = {
    "unauthenticated_upload": ("status", "html"),
    "soap_form": ("A", "B"),
    "num_atencion": ("dated", "bare", "outside"),
    "processing_state": ("PDR", "PRD"),
    "schema_errors": ("upload", "rsc"),
    "signature_errors": ("later", "upload"),
    "signature_whitespace": ("refuse", "accept"),
    "timbre_errors": ("reject", "repair"),
    "chunked": ("400", "first_chunk"),
}


class Settings:
    """The settings in force, kept in the database."""

    def __init__(self, database):
        self._database = database
        self._values = merged(DEFAULTS, json.loads(database.value("settings", "{}")))

    def __getitem__(self, key):
        return self._values[key]

    def as_dict(self):
        return merged(self._values, {})

    def update(self, changes):
        """Applies a dict of changes. Raises UsageError, without applying any, when one is not acceptable."""
        self._values = merged(self._values, changes)
        self._database.set_value("settings", json.dumps(self._values))

    def reset(self):
        self._values = merged(DEFAULTS, {})


def merged(values, changes):
    """A copy of `values` with `changes` in it; "delays" may name only some stages."""
    result = {**values, "delays": dict(values["delays"])}
    for key, value in changes.items():
        _check(key, value)
        if key == "delays":
            result["delays"].update(value)
        else:
            result[key] = value
    return result


def _check(key, value):
    if key not in DEFAULTS:
        raise UsageError(f"unknown setting {key!r}; known: {', '.join(DEFAULTS)}")
    if key in CHOICES:
        acceptable = value in CHOICES[key]
    elif key == "delays":
        acceptable = isinstance(value, dict) and set(value) <= set(STAGES) and all(map(_is_seconds, value.values()))
    elif key == "drop_types":
        acceptable = isinstance(value, list) and all(type(item) is int for item in value)
    elif isinstance(DEFAULTS[key], bool):
        acceptable = isinstance(value, bool)
    else:
        acceptable = _is_seconds(value)
    if not acceptable:
        raise UsageError(f"setting {key!r} does not accept {value!r}; it accepts {_accepted(key)}")


def _is_seconds(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _accepted(key):
    if key in CHOICES:
        return " or ".join(CHOICES[key])
    if key == "delays":
        return f"seconds by stage ({', '.join(STAGES)})"
    if key == "drop_types":
        return "a list of document types"
    return "true or false" if isinstance(DEFAULTS[key], bool) else "a number, not negative"
