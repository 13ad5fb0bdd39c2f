"""The demonstration: two applications under load, faults on demand, and everything that watches them, on one machine.

`session` is the whole of it; `stage` says which processes take part; `supervisor` starts, restarts and ends them;
`faults` breaks what they depend on, `panel` lets people do so; `mailbox` plays the mail relay and keeps the alerts;
`load` plays the customers; `terminal` shows what goes on.
"""
