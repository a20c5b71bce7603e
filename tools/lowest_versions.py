"""Prints the oldest libraries that pyproject.toml allows, as requirements: ``make test-lowest``."""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"

if __name__ == "__main__":
    for bound in tomllib.loads(PROJECT.read_text())["project"]["dependencies"]:
        name, version = re.fullmatch(r"([\w-]+)>=([\d.]+)", bound).groups()
        print(f"{name}=={version}.*")
