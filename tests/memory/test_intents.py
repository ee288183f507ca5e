"""The words of decisions: plain enums for the agent, choices for the models."""

import subprocess
import sys

import pytest

from memory.intents import Action, Intent, Policy
from memory.models import Decision


@pytest.mark.parametrize(("field", "words"), [("intent", Intent), ("action", Action), ("policy", Policy)])
def test_a_field_offers_every_word_with_its_label(field, words) -> None:
    assert Decision._meta.get_field(field).choices == [(word.value, word.label) for word in words]
    assert words.values() == [str(word) for word in words]


def test_a_word_is_its_text() -> None:
    assert (f"{Intent.LONG}", Action.BUY, Policy.SHADOW.label[:6]) == ("long", "BUY", "Shadow")
    assert "short" in {Intent.LONG, Intent.SHORT}


def test_the_agent_reasons_without_django() -> None:
    program = "import sys, memory.agent, memory.prediction_evidence; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
