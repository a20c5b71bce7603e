"""Sources: files, folders of images and cameras become frames."""
