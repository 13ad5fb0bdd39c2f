"""Huey: what producers enqueue and what consumers make of it, and the periodic tasks that a consumer keeps."""

from huoyan.client.frameworks.huey.integration import HueyIntegration

integration = HueyIntegration()
