"""The shortcut audit: how much of a run's accuracy is the place, and how much is something that goes with the video.

A model can name a city by what is no part of it: the bonnet of the car that films, a channel's logo, the letters of a
caption, or the very street that it was trained on. Here the run is scored again on the same clips with one such cue
taken away (changes.py, masks.py, static.py, text.py), each beside a control that hides as many pixels elsewhere; and
trained again by splits that keep more and more apart (splits.py). `run_audit` (audit.py) is the entry.
"""
