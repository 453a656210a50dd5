"""Structured problems whose answers an oracle judges: fixed length, exact, with symmetries.

`base` says what a kind brings; each kind is one file (and what it stands on), registered under
`honewheel.tasks` like every other kind of artifact.
"""
