"""Dramatiq: what producers enqueue and what workers make of it, with every broker.

Two middlewares stand around those that the broker has. The outermost is told last how a message was processed, when
Retries and its like have decided; the innermost stands beside the actor, so that the actor alone is measured.
"""

from huoyan.client.frameworks.dramatiq.integration import DramatiqIntegration

integration = DramatiqIntegration()
