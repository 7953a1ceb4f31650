# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
# Every command does the set-up first; `make help` lists them. The work is in dev/.
COMMANDS := setup stop clean lint i18n test demo samples screenshots chaos bench load shell

.PHONY: help $(COMMANDS)
.DEFAULT_GOAL := help
.NOTPARALLEL:

help $(COMMANDS):
	@sh dev/start.sh $@
