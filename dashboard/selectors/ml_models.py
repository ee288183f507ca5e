"""Which model is champion of which market, what is being trained, and what was decided about models."""

from dataclasses import dataclass
from typing import cast

from django.db.models import F, QuerySet

from market.bars import timeframe_text
from mlmodels.models import ModelVersion, Promotion, ProofRun, TrainingRun
from mlmodels.pipeline.progress import Step
from mlmodels.pipeline.report import Holdout, LogLine, Report
from mlmodels.registry import families, versions
from mlmodels.registry.families import FamilyKey
from mlmodels.registry.versions import ChampionStatus

PROMOTIONS = 15
RUNS = 12
PROOFS = 10
LOG_LINES = 6
# Rows of lists do without what only the page of one version shows.
HEAVY = ("report", "verdict", "recipe", "claimed", "notes")
SCORES = {
    "log_loss": "model__log_loss__value",
    "constant": "constant__log_loss__value",
    "left_move": "left_move__log_loss__value",
    "pr_auc": "model__pr_auc__value",
    "base_rate": "model__base_rate",
}


@dataclass(frozen=True, slots=True)
class FamilyState:
    """A market of the desk: its champion, why none is active, and how training stands."""

    key: FamilyKey
    speaking: ChampionStatus
    live: TrainingRun | None
    last: TrainingRun | None
    previous: ModelVersion | None

    @property
    def champion(self) -> ModelVersion | None:
        """Who was promoted last, whether it is active or expired."""
        return self.speaking.champion

    @property
    def inactive_reason(self) -> str:
        """Why no champion is active; empty when one is."""
        return why_inactive(self.speaking)

    @property
    def holdout(self) -> Holdout | None:
        """How the champion did on rows it had not seen."""
        return holdout_of(self.champion) if self.champion else None

    @property
    def market_text(self) -> str:
        """The market in words; what counts as a reversal stands beside it."""
        return market_text(self.key)

    @property
    def market(self) -> str:
        """How real its prices are, for the badge."""
        return "simulated" if self.key.simulated else ""


@dataclass(frozen=True, slots=True)
class StepState:
    """A step of a training: over, running, stopped here, or still to come."""

    title: str
    css: str
    waiting: bool


STEPS: dict[str, str] = {
    Step.LOAD: "Read candles",
    Step.FEATURES: "Compute features",
    Step.LABELS: "Label reversals",
    Step.PREPARE: "Split by time, with purge and embargo",
    Step.WALK_FORWARD: "Walk forward",
    Step.FIT: "Fit on all history before the hold-out",
    Step.EVALUATE: "Score on unseen rows",
    Step.GATE: "Ask the gate",
    Step.SAVE: "Save the version",
}


def why_inactive(status: ChampionStatus) -> str:
    """Return why no champion is active: none was promoted, it expired, or its stored model can't be opened."""
    if status.inactive_reason or status.champion is None:
        return status.inactive_reason
    return status.champion.load_error


def market_text(key: FamilyKey) -> str:
    """Return the market of a family in words."""
    return f"{timeframe_text(key.timeframe)} candles, {'simulated' if key.simulated else 'real'}"


def holdout_of(version: ModelVersion) -> Holdout | None:
    """Return the comparison on the rows of the gate; None where there was none."""
    return cast(Report, version.report).get("holdout") if version.report else None


def family_states() -> list[FamilyState]:
    """Return every family in use, by name. Four queries, and three for each family: there are few."""
    keys = families.all_families()
    slugs = [key.slug for key in keys]
    live = {run.family: run for run in live_runs()}
    last = _last_runs(slugs)
    return [_state(key, live.get(key.slug), last.get(key.slug)) for key in keys]


def _state(key: FamilyKey, live: TrainingRun | None, last: TrainingRun | None) -> FamilyState:
    status = versions.champion_status(key.slug)
    return FamilyState(key, status, live, last, versions.previous_champion(key.slug))


def _last_runs(slugs: list[str]) -> dict[str, TrainingRun]:
    """Return the newest ended run of each family."""
    ended = TrainingRun.objects.filter(family__in=slugs).exclude(state__in=TrainingRun.LIVE)
    rows = ended.order_by("family", "-id").distinct("family").defer("log", "recipe").select_related("version")
    return {run.family: run for run in rows}


def live_runs() -> list[TrainingRun]:
    """Return the trainings that run or wait, the running one first."""
    rows = TrainingRun.objects.filter(state__in=TrainingRun.LIVE).select_related("by")
    return sorted(rows[:20], key=lambda run: (run.state != TrainingRun.State.RUNNING, run.pk))


def log_tail(run: TrainingRun, lines: int = LOG_LINES) -> list[LogLine]:
    """Return the newest lines of a run's log, oldest first."""
    return list(run.log[-lines:])


def step_text(run: TrainingRun) -> str:
    """Return what a run does now, in words."""
    if run.state == TrainingRun.State.QUEUED:
        return "waits for the training worker"
    return STEPS.get(run.step, run.step.replace("-", " ")).lower() or "begins"


def steps_of(run: TrainingRun) -> list[StepState]:
    """Return all steps with how far the run is."""
    names = list(STEPS)
    at = names.index(run.step) if run.step in names else -1
    done = run.state == TrainingRun.State.SUCCEEDED
    return [_step(STEPS[name], index, at, run.state, done) for index, name in enumerate(names)]


def _step(title: str, index: int, at: int, state: str, done: bool) -> StepState:
    if done or index < at:
        return StepState(title, "up", False)
    if index > at:
        return StepState(title, "", True)
    css = {TrainingRun.State.RUNNING: "info", TrainingRun.State.FAILED: "alarm"}.get(TrainingRun.State(state), "")
    return StepState(title, css, False)


def all_versions() -> QuerySet[ModelVersion]:
    """Return all versions for a list, newest first, with the few scores that the list shows."""
    scores = {name: F(f"report__holdout__{path}") for name, path in SCORES.items()}
    verdicts = {"outcome": F("verdict__outcome"), "verdict_text": F("verdict__text"), "label": F("report__label")}
    return ModelVersion.objects.defer(*HEAVY).annotate(**scores, **verdicts)


def version_named(name: str) -> ModelVersion | None:
    """Return a version with its whole report."""
    return ModelVersion.objects.filter(name=name).first()


def promotions(version: ModelVersion | None = None) -> list[Promotion]:
    """Return the newest changes of champions, of one version if given."""
    rows = Promotion.objects.select_related("by").defer("verdict")
    if version is not None:
        rows = rows.filter(version=version)
    return list(rows[:PROMOTIONS])


def runs() -> list[TrainingRun]:
    """Return the newest training runs."""
    return list(TrainingRun.objects.defer("log", "recipe").select_related("version", "by")[:RUNS])


def run_detail(pk: int) -> TrainingRun | None:
    """Return a run with whom it follows and what follows it."""
    rows = TrainingRun.objects.select_related("version", "by", "follows", "successor")
    return rows.filter(pk=pk).first()


@dataclass(frozen=True, slots=True)
class DeskLine:
    """The line about models on the desk: a training in progress, or the champions (and why one is inactive)."""

    run: TrainingRun | None
    first: bool
    speaking: list[tuple[ModelVersion, str]]

    @property
    def text(self) -> str:
        """What the run does now."""
        return detail_text(self.run) if self.run else ""


def desk_line() -> DeskLine:
    """Return the line of the desk page. Two queries, and one for each champion."""
    running = live_runs()
    champions = list(
        ModelVersion.objects.filter(state=ModelVersion.State.CHAMPION).values_list("family", flat=True)
    )
    if running:
        return DeskLine(running[0], running[0].family not in champions, [])
    statuses = [versions.champion_status(family) for family in sorted(champions)]
    return DeskLine(None, False, [(one.champion, why_inactive(one)) for one in statuses if one.champion])


def detail_text(run: TrainingRun) -> str:
    """Return the step with the last line of its log: "walk forward: fold 3 of 5"."""
    step = step_text(run)
    last_line = str(run.log[-1]["text"]) if run.log and run.state == TrainingRun.State.RUNNING else ""
    fold = last_line.split(":")[0]
    return f"{step}, {fold} done" if run.step == Step.WALK_FORWARD and fold.startswith("fold ") else step


def proofs() -> list[ProofRun]:
    """Return the newest runs of the honesty suite."""
    return list(ProofRun.objects.all()[:PROOFS])


def last_proof() -> ProofRun | None:
    """Return the newest run of the honesty suite without its results; a quick one only if there is no other."""
    rows = ProofRun.objects.defer("results")
    return rows.filter(quick=False).first() or rows.first()
