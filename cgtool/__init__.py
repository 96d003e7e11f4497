"""The command line of cgtool: parse, call the library, print, exit code. Nothing is computed here."""
