"""Files as people have them to record files as the algorithms read them."""
