"""What was changed by nobody who is signed in."""

from django.db import models


class Change(models.Model):
    """A change by a key of the API, on the desk's machine, or by the desk itself. People's are in Django's log."""

    at = models.DateTimeField(auto_now_add=True, help_text="Wall time.")
    who = models.CharField(max_length=150)
    name = models.CharField(max_length=200, help_text="What was changed.")
    text = models.TextField(help_text="How, in words.")

    class Meta:
        indexes = [models.Index(fields=["-at"], name="change_newest")]

    def __str__(self) -> str:
        return f"{self.who}: {self.name}: {self.text}"[:200]
