"""arq: what pools enqueue and what workers make of it, cron jobs among it."""

from huoyan.client.frameworks.arq.integration import ArqIntegration

integration = ArqIntegration()
