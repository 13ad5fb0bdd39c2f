"""What an RQ worker is started with (`rq worker -c tests.faults.apps.rq_hooks`) to be watched by hooks."""

import rq

import huoyan

huoyan.watch(rq.Worker, service="faults")
