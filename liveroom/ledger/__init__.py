"""The durable record in SQL: what outlives the show."""
