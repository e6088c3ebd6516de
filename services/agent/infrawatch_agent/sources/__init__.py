"""Where the numbers and lists come from: the operating system, read only."""
