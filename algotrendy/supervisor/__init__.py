"""Runs the desk's processes: starts them in order, restarts what dies, stops everything in order.

Kept small and free of Django, because it lives as long as the desk and its memory is part of the desk's.
"""
