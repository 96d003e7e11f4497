"""`python -m cgtool`."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # While the program is being imported Ctrl-C ends it as it ends any other, without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from .app import main

main()
