"""Celery: producers, workers and tasks of an application, by Celery's own signals."""

from huoyan.client.frameworks.celery.integration import CeleryIntegration

integration = CeleryIntegration()
