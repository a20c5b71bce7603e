"""`knuckle evaluate`: a system's predictions against a data set, under a named protocol."""
