"""SQLAlchemy engines, synchronous and asynchronous: every statement by operation and table, commits, and the pool."""

from huoyan.client.dependencies.sqlalchemy.integration import SQLAlchemyIntegration

integration = SQLAlchemyIntegration()
