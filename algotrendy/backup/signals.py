"""What a restore announces upwards."""

from django.dispatch import Signal

# Sent once in a database that was restored and migrated, before a desk works on it.
database_restored = Signal()
