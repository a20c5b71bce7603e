"""Sinks: files and pictures made of results."""
