"""The whole frame: where hands are, how large, how turned, which side."""
