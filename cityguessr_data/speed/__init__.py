"""How close a build comes to what the machine can do: `cgtool bench speed build`.

stages.py measures the bare work of each stage, build.py the real build, and puts the two together.
"""
