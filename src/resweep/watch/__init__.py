"""A study while it is built: what its files say, one screen of it, and word of its end.

    study file, {phase}/records/, {phase}/decisions/    which trials are done, and how they ended
    runs/*/lease.json                                   which runs are being trained right now
    runs/*/metrics.jsonl, timing.jsonl                  how far they are, their values, their speed
    ->  progress  ->  a screen on a terminal, sparse lines elsewhere

Everything is read from files, and nothing is written: so it works beside any process that builds,
from another terminal or from the login node of a cluster.
"""
