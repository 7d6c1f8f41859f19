"""Where viewers' bytes come in and go out."""
