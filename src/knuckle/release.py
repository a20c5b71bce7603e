"""Which Knuckle this is; said here, as a package in a zip or a bare folder has no metadata."""

VERSION = "0.1.0"
