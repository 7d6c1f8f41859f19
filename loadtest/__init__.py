"""The crowd: benchmarks that measure the server from outside, through its sockets."""
