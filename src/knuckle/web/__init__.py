"""The page that finds hands in the visitor's browser: what it is told, served and laid out.

Its source is in ``web/`` of the repository; ``make web`` builds it into ``site/`` beside this file.
"""

from knuckle.web.page import lay_out, page_files
from knuckle.web.server import serve

__all__ = ["lay_out", "page_files", "serve"]
