"""Other hand trackers, measured beside this one."""
