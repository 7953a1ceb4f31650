# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Command line: python -m sii_simulator serve | ca | caf | certificate."""

import argparse
import json
import logging
import os
import signal
import sys
import threading
from contextlib import closing
from pathlib import Path

from . import caf
from .authority import IDK, to_pkcs12
from .clock import read_moment
from .errors import UsageError
from .listener import Listener, tls_context
from .rut import checked
from .settings import STAGES
from .simulator import Simulator, Store

READY_FILE = "server.json"


def main(arguments=None):
    try:
        options = _parser().parse_args(arguments)
        return options.run(options)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def serve(options):
    if options.schemas is None:
        raise UsageError("give the folder of the official schemas with --schemas or the variable DTE_SCHEMAS")
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    simulator = Simulator(options.data, options.schemas, options.seed)
    if options.delay:
        simulator.settings.update({"delays": dict(options.delay)})
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    listeners = _listeners(simulator, options)
    ready = options.data / READY_FILE
    _announce(simulator, listeners, ready)
    stopped.wait()
    ready.unlink(missing_ok=True)
    simulator.stop()
    return 1 if simulator.failed else 0


def print_ca(options):
    with closing(Store(options.data)) as store:
        _write(options.output, store.authority.caf_public_pem().encode())
    return 0


def print_caf(options):
    keys = ("rut", "name", "type", "from", "to", "date", "idk", "bits")
    request = {key: getattr(options, key) for key in keys}
    with closing(Store(options.data)) as store:
        _write(options.output, caf.issue(store.authority, store.registry, request, store.clock.local().date()))
    return 0


def write_certificate(options):
    with closing(Store(options.data)) as store:
        key, certificate = store.authority.issue_person(
            options.rut,
            options.name,
            email=options.email,
            first=getattr(options, "from"),
            last=options.to,
            rut_in="none" if options.no_rut else options.rut_in,
        )
        _write(options.output, to_pkcs12(key, certificate, store.authority.ca_certificate, options.passphrase))
    return 0


def _listeners(simulator, options):
    """The started listeners by name: url, control and, when asked for, tls_url."""
    listeners = {
        "url": Listener(simulator, options.host, options.port),
        "control": Listener(simulator, "127.0.0.1", options.control_port, control_only=True),
    }
    if options.tls_port is not None:
        context = tls_context(simulator.authority.issue_server(options.host))
        listeners["tls_url"] = Listener(simulator, options.host, options.tls_port, context=context)
    simulator.start()
    for listener in listeners.values():
        listener.start()
    return listeners


def _announce(simulator, listeners, path):
    """Writes server.json at once, then the line that says that the server is ready."""
    urls = {name: listener.url() for name, listener in listeners.items()}
    urls["control"] += "/control"
    ca_path = simulator.folder / "authority" / "ca.crt"
    ca_path.write_text(simulator.authority.ca_pem())
    content = {"tls_url": None, **urls, "pid": os.getpid(), "tls_ca": str(ca_path.resolve()), "idk": IDK}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1))
    partial.replace(path)
    print(" ".join(f"{name}={url}" for name, url in urls.items()), flush=True)


def _write(path, data):
    if path is None:
        sys.stdout.buffer.write(data)
    else:
        path.write_bytes(data)


def _parser():
    parser = argparse.ArgumentParser(prog="sii_simulator", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for add in (_add_serve, _add_ca, _add_caf, _add_certificate):
        add(commands)
    return parser


def _command(commands, name, run, text):
    command = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    command.add_argument("--data", type=Path, required=True, help="folder of ledger and keys; made when missing")
    return command


def _add_serve(commands):
    command = _command(commands, "serve", serve, "serve until SIGTERM")
    schemas = os.environ.get("DTE_SCHEMAS")
    command.add_argument("--host", default="127.0.0.1")
    command.add_argument("--port", type=int, default=0, help="0 is a free port")
    command.add_argument("--tls-port", type=int, help="also serve TLS; 0 is a free port")
    command.add_argument("--control-port", type=int, default=0, help="port that no fault touches")
    command.add_argument("--schemas", type=Path, default=schemas, help="folder of the official XSDs (DTE_SCHEMAS)")
    command.add_argument("--seed", default="0", help="of the dice of the faults")
    command.add_argument(
        "--delay",
        type=_delay,
        action="append",
        metavar="[STAGE=]SECONDS",
        help=f"simulated seconds before a stage ({', '.join(STAGES)}); without a name, before the verdict",
    )


def _add_ca(commands):
    command = _command(commands, "ca", print_ca, "write the public key (PEM) that signs CAFs")
    command.add_argument("-o", "--output", type=Path)


def _add_caf(commands):
    command = _command(commands, "caf", print_caf, "write an AUTORIZACION file and note its range")
    command.add_argument("--rut", type=checked, required=True)
    command.add_argument("--name", help="default: the name of the registered company")
    command.add_argument("--type", type=int, required=True)
    command.add_argument("--from", type=int, required=True)
    command.add_argument("--to", type=int, required=True)
    command.add_argument("--date", help="AAAA-MM-DD, default today")
    command.add_argument("--idk", type=int, default=IDK, help="another one makes a CAF of another environment")
    command.add_argument("--bits", type=int, choices=(512, 1024), default=512)
    command.add_argument("-o", "--output", type=Path)


def _add_certificate(commands):
    command = _command(commands, "certificate", write_certificate, "write a test certificate (PKCS#12)")
    command.add_argument("--rut", type=checked, required=True)
    command.add_argument("--name", required=True)
    command.add_argument("--email")
    command.add_argument("--from", type=read_moment, help="Santiago time; default yesterday")
    command.add_argument("--to", type=read_moment, help="default three years later")
    command.add_argument("--no-rut", action="store_true", help="a certificate without RUT")
    command.add_argument("--rut-in", choices=("san", "subject", "both"), default="both")
    command.add_argument("--passphrase", required=True)
    command.add_argument("-o", "--output", type=Path, required=True)


def _delay(text):
    stage, _equals, seconds = text.rpartition("=")
    return stage or "final", float(seconds)


if __name__ == "__main__":
    sys.exit(main())
