# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The set-up on machines that are not as they should be."""

import os
import signal
import subprocess
import sys

import pytest

from dev import common, databases, env, odoo_source, python_env
from dev.common import Stop
from dev.interpreter import candidates, find_python, probe

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


def executable(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_shim_that_fails_is_passed_over(tmp_path):
    shim = executable(tmp_path / "shims" / f"python{VERSION}", "echo 3.12.1; echo /usr/bin/python3; exit 127")
    good = executable(tmp_path / "good" / f"python{VERSION}", f'exec {sys.executable} "$@"')
    assert probe(str(shim)) is None
    version, path = find_python(f"{shim.parent}:{good.parent}", tmp_path)
    answer = subprocess.run([path, "-V"], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == f"Python {version}"


def test_pythons_of_a_version_manager_are_looked_at_newest_first(tmp_path, monkeypatch):
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    old = executable(tmp_path / ".pyenv/versions/3.12.1/bin/python3.12", "")
    new = executable(tmp_path / ".pyenv/versions/3.12.4/bin/python3.12", "")
    found = candidates("3.12", "", tmp_path)
    assert found[-2:] == [str(new), str(old)]


def test_the_callers_own_choice_is_not_replaced_by_another(tmp_path):
    broken = executable(tmp_path / "python", "exit 1")
    with pytest.raises(Stop, match="does not start"):
        find_python(os.environ["PATH"], tmp_path, str(broken))


def test_a_python_too_new_for_odoo_is_refused(tmp_path):
    assert probe(str(executable(tmp_path / "python3.14", "echo 3.14.0; echo /x"))) is None


def test_a_folder_gets_its_name_only_when_it_is_whole(tmp_path):
    with pytest.raises(ZeroDivisionError), common.made_whole(tmp_path / "thing") as part:
        (part / "half").write_text("")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with common.made_whole(tmp_path / "thing") as part:
        (part / "all").write_text("")
    assert (tmp_path / "thing" / "all").exists()


def test_what_a_killed_process_leaves_is_not_taken_for_whole(tmp_path):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom dev.common import made_whole\n"
        "with made_whole(Path(sys.argv[1])): print('inside', flush=True); time.sleep(60)\n"
    )
    target = tmp_path / "thing"
    with subprocess.Popen([sys.executable, "-c", code, target], stdout=subprocess.PIPE, cwd=common.ROOT) as process:
        assert process.stdout.readline() == b"inside\n"
        process.send_signal(signal.SIGKILL)
    assert not target.exists()
    assert len(list(tmp_path.iterdir())) == 1
    common.remove_parts(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_venv_is_whole_only_with_its_mark_and_a_python_that_starts(tmp_path):
    python = executable(tmp_path / "bin" / "python", "exit 0")
    assert not python_env.is_whole(tmp_path)
    (tmp_path / "complete").write_text("")
    assert python_env.is_whole(tmp_path)
    python.unlink()
    assert not python_env.is_whole(tmp_path)


def test_our_bounds_win_over_those_of_a_checkout():
    listed = "lxml==5.2.1 ; python_version >= '3.12'  # why\npsycopg2==2.9.9\npython-ldap==3\n# text\nBabel==2.9\n"
    ours = "lxml>=6\npsycopg2-binary>=2.9\n"
    assert python_env.odoo_requirements(listed, ours) == "Babel==2.9\n"
    assert python_env.odoo_requirements("Zope_Interface==1", "zope.interface") == "\n"


def test_a_torso_beside_debians_package_is_not_put_on_the_addons_path(tmp_path):
    packages = tmp_path / "usr/lib/python3/dist-packages"
    for folder in ("odoo/addons/web", "odoo/addons/base", "addons/web"):
        (packages / folder).mkdir(parents=True)
    (packages / "odoo/release.py").write_text("version_info = (19, 0, 0, FINAL, 0, '')\n")
    assert odoo_source.describe(tmp_path)["addons"] == [str(packages / "odoo/addons")]


def test_a_checkout_has_two_addons_folders_and_must_be_19(tmp_path):
    for folder in ("odoo/addons/base", "addons/web"):
        (tmp_path / folder).mkdir(parents=True)
    release = tmp_path / "odoo/release.py"
    release.write_text("version_info = (19, 0, 0, FINAL, 0, '')\n")
    assert odoo_source.describe(tmp_path)["addons"] == [str(tmp_path / "odoo/addons"), str(tmp_path / "addons")]
    release.write_text("version_info = (18, 0, 0, FINAL, 0, '')\n")
    with pytest.raises(Stop, match="not version 19"):
        odoo_source.describe(tmp_path)
    assert odoo_source.describe(tmp_path / "odoo") is None


def test_the_mirror_is_that_of_debians_main_archive():
    targets = (
        "Somebody main trixie http://other/\nDebian main trixie-security http://security/\n"
        "Debian contrib trixie http://mirror/\nDebian main trixie http://mirror/debian/\n"
    )
    assert odoo_source.mirror_in(targets) == "http://mirror/debian/"
    assert odoo_source.mirror_in("") is None


def test_the_callers_database_variables_do_not_reach_odoo(monkeypatch):
    monkeypatch.setenv("PGDATABASE", "production")
    monkeypatch.setenv("PGPASSWORD", "x")
    monkeypatch.setenv("HOME", "/nonexistent")
    variables = env.load().variables()
    assert "PGDATABASE" not in variables
    assert "PGPASSWORD" not in variables
    assert os.access(variables["HOME"], os.W_OK)
    assert "PYTHONPATH" not in env.load().variables(odoo=False)


@pytest.mark.parametrize(
    ("variables", "remark"),
    [({}, "HOME is not set"), ({"HOME": "/proc"}, "/proc/.cache"), ({"HOME": "."}, "")],
)
def test_without_a_home_the_cache_is_in_the_clone(monkeypatch, tmp_path, variables, remark):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(env, "RUN", tmp_path / ".run")
    for name in ("HOME", "XDG_CACHE_HOME", "L10N_CL_DTE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    folder, said = env.cache_folder()
    assert remark in said
    assert bool(remark) == (folder == tmp_path / ".run" / "cache")
    assert folder.is_dir()


def test_the_template_changes_with_what_an_installation_writes(monkeypatch, tmp_path):
    monkeypatch.setattr(databases, "ROOT", tmp_path)
    addon = tmp_path / databases.ADDON
    for name in ("models/a.py", "tests/test_a.py", "static/a.js"):
        (addon / name).parent.mkdir(parents=True)
        (addon / name).write_text("1")
    before = databases.digest(*databases.addon_content(databases.ADDON))
    (addon / "tests/test_a.py").write_text("2")
    (addon / "static/a.js").write_text("2")
    assert databases.digest(*databases.addon_content(databases.ADDON)) == before
    (addon / "models/a.py").write_text("2")
    assert databases.digest(*databases.addon_content(databases.ADDON)) != before


def test_the_addon_does_not_know_queue_job():
    """It is optional: only the addon beside it may need it."""
    files = [path for kind in ("*.py", "*.xml", "*.csv") for path in (common.ROOT / databases.ADDON).rglob(kind)]
    assert files
    assert not [path for path in files if "queue_job" in path.read_text(encoding="utf-8")]
