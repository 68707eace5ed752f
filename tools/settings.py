"""What is given to the runner in words: NAME=VALUE, YAML files, and the command as given again."""

import re
import shlex
import sys
from pathlib import Path

import yaml


def parameters(words: list[str]) -> dict:
    """NAME=VALUE, the value read as YAML: a number where it looks like one."""
    wrong = [word for word in words if "=" not in word]
    if wrong:
        sys.exit(f"{wrong[0]!r}: give parameters as NAME=VALUE")
    return {name: _numbered(yaml.safe_load(v)) for name, v in (w.split("=", 1) for w in words)}


def read_yaml(path: Path):
    """A file of settings; numbers as in `parameters`."""
    try:
        return _numbered(yaml.safe_load(path.read_text("utf-8")))
    except yaml.YAMLError as error:
        sys.exit(f"{path.name} is no YAML: {error}")


def _numbered(value):
    """YAML 1.1 takes 1e-5, without a point, for a word; at any depth it is a number here."""
    if isinstance(value, dict):
        return {name: _numbered(own) for name, own in value.items()}
    if isinstance(value, list):
        return [_numbered(own) for own in value]
    number = isinstance(value, str) and re.fullmatch(r"[-+]?\d+e[-+]?\d+", value, re.IGNORECASE)
    return float(value) if number else value


def command_line(act: str, number: str, args, **further) -> str:
    """``make act NB=04 ...`` that a shell and make give to the runner as it was given."""
    words = [f"NB={number}", *(f"{name}={value}" for name, value in further.items())]
    if args.parameters:
        words.append(f"PARAMS={shlex.join(args.parameters)}")
    if args.name:
        words.append(f"AS={args.name}")
    if args.limit is not None:
        words.append(f"LIMIT={args.limit:g}")
    return f"make {act} " + " ".join(map(_quoted, words)).replace("$", "$$")


def _quoted(word: str) -> str:
    """For a shell; what holds quotes already goes into the other ones, where that is safe."""
    return f'"{word}"' if "'" in word and not re.search(r'["$`\\!]', word) else shlex.quote(word)
