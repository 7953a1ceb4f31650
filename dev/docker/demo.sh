#!/bin/sh
# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
# Runs once in the container `demo`: a database with the addon, and the documents of dev/demo_issue.py in it.
set -eu
done=/var/lib/odoo/demo-is-done
if [ -e "$done" ]; then
    echo "The demo database is there already. docker compose down --volumes deletes it."
    exit 0
fi
dropdb --if-exists demo
odoo -d demo -i l10n_cl_dte --load-language en_US,es_419,es_CL --skip-auto-install --stop-after-init --no-http
odoo shell -d demo --no-http --log-level warn <<'END'
import os
env.ref("base.user_admin").password = os.environ["ODOO_ADMIN_PASSWORD"]
env.cr.commit()
END
odoo shell -d demo --no-http --log-level warn </opt/dte/dev/demo_issue.py
touch "$done"
