"""The crowd that `make load` sends: who is in it, what each of them does, and the verdict on what they saw."""
