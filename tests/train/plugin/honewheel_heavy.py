"""A library that is dear to load: it notes who loads it in the file $HEAVY names."""

import os

COLOUR: list[str] = []  # what a run leaves behind in its process

with open(os.environ["HEAVY"], "a") as _file:
    _file.write(f"{os.getpid()}\n")
