"""Runs a file of ``statements/`` as it stands."""

from importlib.resources import files

from alembic import op


def run(name: str) -> None:
    """Execute a whole file in the transaction of the migration."""
    text = files("infrawatch_migrations").joinpath("statements", name).read_text(encoding="utf-8")
    # The driver's own cursor sends the text untouched; SQLAlchemy would read ':' and '%' in it as parameters.
    cursor = op.get_bind().connection.cursor()
    cursor.execute(text)
    cursor.close()
