"""``knuckle evaluate``: a system's answers against a data set, under a named protocol.

The system is a callable or a file of predictions; this package knows neither the runtime nor any
network, and whoever composes the two (the command line) hands the callable in.
"""
