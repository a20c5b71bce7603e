"""``knuckle evaluate``: a system's answers against a data set, under a named protocol.

The system is a callable or a file of predictions; this package knows neither the runtime nor any
network, and the caller that combines the two (the command line) passes the callable in.
"""
