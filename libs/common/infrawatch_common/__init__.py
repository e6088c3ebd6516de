"""What several Infra-Watch services share, and nothing else."""
