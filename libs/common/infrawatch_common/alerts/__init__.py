"""Alert rules and the decision that they are: pure, and the same for live samples, a backlog and a preview."""
