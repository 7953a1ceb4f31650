#!/bin/sh
# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
# Runs `python -m dev ARGUMENTS` with the first Python on this machine that really starts and is 3.9 or later.
# (A version manager's `python3` can be on the PATH and fail: so each one is tried.)
cd "$(dirname "$0")/.." || exit 1
for python in ${PYTHON:+"$PYTHON"} python3 /usr/bin/python3 /usr/local/bin/python3 \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3 python3.12 python3.11 python3.13 python3.10; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' >/dev/null 2>&1; then
        exec "$python" -m dev "$@"
    fi
done
echo "No Python 3.9 or later that starts was found. Install Python 3.12 (on Debian: apt-get install python3 python3-venv)," >&2
echo "or say where it is: make $1 PYTHON=/path/to/python3.12" >&2
exit 1
