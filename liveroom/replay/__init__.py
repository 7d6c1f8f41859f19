"""A recorded chat said again by real viewers over WebSocket, and the account of what became of each comment."""
