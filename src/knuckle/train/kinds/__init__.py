"""One file for each kind of training; ``train/kind.py`` says what is in it."""
