#!/usr/bin/env python
"""Django's command line; `manage.py up` starts everything."""

import os
import sys
from argparse import ArgumentParser
from pathlib import Path


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "koalapanel.settings")
    if sys.argv[1:2] == ["up"]:
        take_var_option(sys.argv[2:])
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Configuration: {error}")


def take_var_option(arguments: list[str]) -> None:
    """`up --var DIR` is VAR_DIR for itself and its children: heard before the settings are read."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--var")
    known, _ = parser.parse_known_args([*arguments, ""] if arguments[-1:] == ["--var"] else arguments)
    if known.var:
        os.environ["VAR_DIR"] = str(Path(known.var).resolve())


if __name__ == "__main__":
    main()
