"""Whole corpora: thousands of videos, each tracked from its beginning to its end.

``Track`` is for any engine that spreads work (``docs/corpus.md``); ``track_all`` needs none and
uses the cores of this machine, as ``knuckle corpus`` does.
"""

from knuckle.corpus.folder import videos_in
from knuckle.corpus.pool import track_all
from knuckle.corpus.track import PATH, Track, VideoRow, as_table, folder_name, schema

__all__ = [
    "PATH",
    "Track",
    "VideoRow",
    "as_table",
    "folder_name",
    "schema",
    "track_all",
    "videos_in",
]
