"""How fast this machine trains, in shares of what it could: the real loop, timed, beside a plain one.

peak.py       what the device computes at most         operations.py  what a clip costs
material.py   random clips and street-sized JPEGs      stretch.py     what a timed piece of training took
ours.py       the real loop, a stretch at a time       plain.py       the same as the released code does it
measure.py    all of it in one run
"""
