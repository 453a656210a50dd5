"""The public object: one project's store, settings and loop behind a dozen verbs.

Everything the command line does goes through here, so a script can do the same. A verb stands in
the file of its topic; `project` joins them.
"""

from honewheel.wheel.project import Wheel, init, open

__all__ = ["Wheel", "init", "open"]
