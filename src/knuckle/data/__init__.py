"""Data sets, their readers and writers, and what they are packed into."""
