# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
# Odoo 19 with the addon and, for the demo, the simulator. docker-compose.yml starts it.
FROM odoo:19

USER root
# The font that documents are printed with.
RUN apt-get update && apt-get install -y --no-install-recommends fonts-liberation && rm -rf /var/lib/apt/lists/*
COPY requirements.txt /opt/dte/
# The image has Odoo's packages from the distribution, which pip cannot uninstall: ours go before them on the path.
RUN pip3 install --no-cache-dir --break-system-packages --ignore-installed -r /opt/dte/requirements.txt
COPY dev /opt/dte/dev
RUN cd /opt/dte && python3 -m dev.schemas /opt/dte/schemas && rm -rf .run && chmod -R a+rX schemas
COPY sii_simulator /opt/dte/sii_simulator
COPY l10n_cl_dte /mnt/extra-addons/l10n_cl_dte
COPY dev/docker/odoo.conf /etc/odoo/odoo.conf
RUN mkdir /var/lib/simulator && chown odoo: /var/lib/simulator
ENV DTE_SCHEMAS=/opt/dte/schemas PYTHONPATH=/opt/dte
USER odoo
