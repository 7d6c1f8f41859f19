"""The audience that `make audience` sends: a plan of who comes and goes, and whether the host is told so."""
