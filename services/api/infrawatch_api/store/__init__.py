"""SQL as role ``infrawatch_api``; every function takes the connection, so that a request decides on its transaction."""
