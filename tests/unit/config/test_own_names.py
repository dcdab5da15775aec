"""Hyperparameters of the user's own: how to name them, and where they live."""

import re
import shlex

from resweep import yaml12
from resweep.config.own_names import own_hint


def test_the_suggested_list_is_read_as_it_is_meant():
    names = ["tau", "a.b-c", "1", "null", "true", "a,b", "we{ird}", "it's", "größe", "a b"]
    hint = own_hint(names)
    assert yaml12.parse(re.search(r"own: \[.*\](?= to the study)", hint)[0]) == {"own": names}
    assert shlex.split(re.search(r"--own (.*)\)$", hint)[1]) == names
