"""Settings of the migration command."""

from pydantic import Field, SecretStr

from infrawatch_common.settings import DatabaseSettings, ServiceSettings

SERVICES = ("ingest", "alerting", "drift", "api")


class Settings(ServiceSettings, DatabaseSettings):
    """The database as a superuser, and the passwords that the services' roles get."""

    ingest_database_password: SecretStr = Field(min_length=16, description="Password of role infrawatch_ingest.")
    alerting_database_password: SecretStr = Field(min_length=16, description="Password of role infrawatch_alerting.")
    drift_database_password: SecretStr = Field(min_length=16, description="Password of role infrawatch_drift.")
    api_database_password: SecretStr = Field(min_length=16, description="Password of role infrawatch_api.")

    def role_passwords(self) -> dict[str, str]:
        """Role → password."""
        return {f"infrawatch_{s}": getattr(self, f"{s}_database_password").get_secret_value() for s in SERVICES}
