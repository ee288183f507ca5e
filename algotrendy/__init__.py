"""How the desk is wired: settings, processes, embedded services. Nothing about trading.

Importing the package must stay cheap, because the supervisor lives in it; Celery comes in by `apps.py`.
"""
