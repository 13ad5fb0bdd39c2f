"""Taskiq: what producers send and what workers make of it, with every broker.

Two middlewares stand around those that the broker has. The outermost is told last how a task ended, when the retrying
ones have decided; the innermost stands beside the function, so that the function alone is measured.
"""

from huoyan.client.frameworks.taskiq.integration import TaskiqIntegration

integration = TaskiqIntegration()
