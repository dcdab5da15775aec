"""The jobs of a study as a small picture: what is done, stale and to do.

    graph of rules, table of files  ->  boxes (fold)  ->  places and lines (layout)  ->  SVG
                                                      ->  lines of text

A box is a stage of a phase: all of its rounds, rungs and packs. Rows are phases.
"""
