"""The last import of a process that others are forked from: its collector then never looks at what was imported.

Looking at an object writes to it, and what a forked process writes to is copied.
"""

import gc

gc.freeze()
