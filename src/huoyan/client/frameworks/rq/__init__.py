"""RQ: queues, jobs and workers, with the work horses that workers fork."""

from huoyan.client.frameworks.rq.integration import RqIntegration

integration = RqIntegration()
