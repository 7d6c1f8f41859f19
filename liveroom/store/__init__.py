"""What this house keeps in Redis, and how it is told of changes there."""
