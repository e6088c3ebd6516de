"""The REST API of Infra-Watch: hosts, samples, users, tokens, enrolments."""
