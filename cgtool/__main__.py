"""`python -m cgtool`."""

from .app import main

main()
