"""The honesty suite: seven experiments that show, on one's own candles, that the pipeline does not fool anybody.

Each is a function of a `Subject` and a number of trials that returns a `pipeline.report.ProofResult`. They run
the pipeline that trains the desk's models, not a copy. Pure: no database.
"""
