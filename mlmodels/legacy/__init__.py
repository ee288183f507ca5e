"""Model folders of 2.5: read without trusting them, and written so that 2.5's tools can read them.

joblib files are pickles, and a pickle is a program. Here it is never run: its instructions are followed with
inert stand-ins (`safe_unpickler`), every name it mentions is compared with a list, and the model is built anew
from its numbers (`model_builder`). All of that happens in a process of its own that can't open, send or start
anything (`sandbox_worker`, `sandbox`); the desk itself (`sandbox_client`) only reads its answer.
"""
