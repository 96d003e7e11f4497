"""Checks that an output directory keeps what contract 4 promises, and mends what does not, by redoing.

Each check is a file: functions that look at one unit, or at one thing of the whole, and yield faults. verify.py calls
them unit by unit, so that memory does not grow with the frames; repair.py mends what they found.
"""
