"""Prints the oldest libraries that pyproject.toml allows, as requirements: ``make test-lowest``."""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
#: Extras that are tried as well. Rerun wants NumPy 2 and is not among them.
EXTRAS = ("parquet", "viewer", "science")
#: Its wheels for NumPy 1 crash beside pandas and pyarrow as they are loaded.
LEFT_OUT = {"ezc3d"}

if __name__ == "__main__":
    project = tomllib.loads(PROJECT.read_text())["project"]
    extras = [bound for name in EXTRAS for bound in project["optional-dependencies"][name]]
    for bound in dict.fromkeys(project["dependencies"] + extras):
        name, version = re.fullmatch(r"([\w-]+)>=([\d.]+)", bound).groups()
        if name not in LEFT_OUT:
            print(f"{name}=={version if '.' in version else version + '.0'}.*")
