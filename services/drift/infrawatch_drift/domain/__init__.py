"""Where snapshots belong among those of their host, and what is made of the differences."""
