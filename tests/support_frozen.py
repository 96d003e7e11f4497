"""The last import of a process that others are forked from: its collector then never looks at what was imported.

Looking at an object writes to it, and what a forked process writes to is copied. Nor is it taken apart at the end,
where some libraries would complain of what is still held.
"""

import atexit
import gc
import os
import sys

if "pytest" in sys.modules:
    raise ImportError("only for a process that others are forked from: it ends with 0 whatever happens")
gc.freeze()
atexit.register(os._exit, 0)
