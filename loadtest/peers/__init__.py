"""The same room written the way users of other libraries would write it, one process each."""
