"""Runs stages over videos and keeps what they give: stage protocol, runner, store, local executor. Knows no stage."""
