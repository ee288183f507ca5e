"""Stored models: sealed, opened only if the seal is ours, and only if they are still the same."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import skops.io
from django.conf import settings as django_settings
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from algotrendy import secrets
from mlmodels.models import Artefact, ModelVersion
from mlmodels.pipeline import estimators
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.labels import PROFILES
from mlmodels.registry import artefacts, tree_safety

SMALL = {
    "HistGradientBoosting": {"max_iter": 5},
    "GradientBoosting": {"n_estimators": 5, "max_depth": 3},
    "LogisticRegression": {},
    "RandomForest": {"n_estimators": 5},
    "ExtraTrees": {"n_estimators": 5},
    "AdaBoost": {"n_estimators": 5},
}


@pytest.fixture(autouse=True)
def _nothing_is_remembered():
    artefacts.forget()
    yield
    artefacts.forget()


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(7).normal(size=(400, 4))


def fitted(rows, name="LogisticRegression"):
    outcome = (rows[:, 0] + np.random.default_rng(8).normal(size=len(rows)) > 0).astype(int)
    return estimators.make(name, SMALL[name], 1).fit(rows, outcome)


def row_of(packed, owner="20260101_000000", **changes):
    row = Artefact(version=ModelVersion(name=owner), **{**vars(packed), **changes})
    row.digest = row.digest or artefacts.seal(owner, packed.format, packed.data)
    return row


def version(name="20260101_000000"):
    return ModelVersion.objects.create(
        name=name, family="reversal-5m-real", timeframe=300, simulated=False, schema="v25", schema_hash="0",
        recipe=Recipe(schema="v25", label=PROFILES["default"]).as_json(),
    )  # fmt: skip


def with_schema(data, change):
    """Return a skops file whose description was changed."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content.decode()).encode() if name == "schema.json" else content)
    return file.getvalue()


def resealed(packed, data):
    return row_of(packed, data=data, digest=artefacts.seal("20260101_000000", packed.format, data))


@pytest.mark.parametrize("name", estimators.NAMES)
def test_every_estimator_of_the_factory_comes_back_bit_for_bit(rows, name):
    model = fitted(rows, name)
    packed = artefacts.pack(model, rows[:16])
    back = artefacts.unpack(row_of(packed))
    assert np.array_equal(back.predict_proba(rows), model.predict_proba(rows))
    assert set(skops.io.get_untrusted_types(data=packed.data)) <= artefacts.TRUSTED
    assert packed.libraries["scikit-learn"]


@pytest.mark.parametrize("where", [0, 100, -1])
def test_one_changed_byte_is_found_and_nothing_is_parsed(rows, where, monkeypatch):
    packed = artefacts.pack(fitted(rows), rows[:4])
    data = bytearray(packed.data)
    data[where] ^= 1
    monkeypatch.setattr(artefacts, "parse", lambda data: pytest.fail("it was parsed"))
    with pytest.raises(artefacts.ForgedArtefact, match="It was not opened"):
        artefacts.unpack(row_of(packed, data=bytes(data)))


def test_a_seal_of_another_key_is_not_ours(rows, settings):
    row = row_of(artefacts.pack(fitted(rows), rows[:4]))
    settings.ARTEFACT_KEY = "another"
    with pytest.raises(artefacts.ForgedArtefact, match="ARTEFACT_KEY"):
        artefacts.unpack(row)


def test_a_seal_does_not_fit_another_format(rows):
    packed = artefacts.pack(fitted(rows), rows[:4])
    with pytest.raises(artefacts.ForgedArtefact):
        artefacts.unpack(row_of(packed, format=2))
    with pytest.raises(artefacts.IncompatibleArtefact, match="format 2"):
        artefacts.unpack(row_of(packed, format=2, digest=artefacts.seal("20260101_000000", 2, packed.data)))


@pytest.mark.django_db
def test_two_versions_cannot_swap_their_models(rows):
    bad, good = version(), version("20260202_000000")
    row = artefacts.store(bad, fitted(rows), rows[:4])
    Artefact.objects.filter(pk=row.pk).update(version=good)
    with pytest.raises(artefacts.ForgedArtefact, match="another version's"):
        artefacts.load(good)


def test_a_model_of_another_scikit_learn_is_refused_before_it_is_parsed(rows, monkeypatch):
    packed = artefacts.pack(fitted(rows), rows[:4])
    monkeypatch.setattr(artefacts, "parse", lambda data: pytest.fail("it was parsed"))
    with pytest.raises(artefacts.IncompatibleArtefact, match=r"made by scikit-learn 1\.2\.0.*Train a new one"):
        artefacts.unpack(row_of(packed, libraries={"scikit-learn": "1.2.0"}))


def test_a_part_of_another_scikit_learn_is_an_error_and_not_a_warning(rows):
    packed = artefacts.pack(fitted(rows), rows[:4])
    ours = packed.libraries["scikit-learn"]
    data = with_schema(packed.data, lambda text: text.replace(json.dumps(json.dumps(ours)), json.dumps('"0.1"')))
    with pytest.raises(artefacts.IncompatibleArtefact, match="InconsistentVersionWarning"):
        artefacts.unpack(resealed(packed, data))


def test_other_probabilities_for_the_golden_rows_are_refused(rows):
    packed = artefacts.pack(fitted(rows), rows[:4])
    golden = {**packed.golden, "probabilities": [np.nextafter(p, 1) for p in packed.golden["probabilities"]]}
    with pytest.raises(artefacts.IncompatibleArtefact, match="does not give the probabilities"):
        artefacts.unpack(row_of(packed, golden=golden))


def test_a_model_without_golden_rows_is_not_packed(rows):
    with pytest.raises(artefacts.BadArtefact, match="golden rows"):
        artefacts.pack(fitted(rows), rows[:0])
    with pytest.raises(artefacts.BadArtefact, match="finite"):
        artefacts.pack(fitted(rows), np.full((1, 4), np.nan))


def test_types_beyond_the_trusted_ones_are_refused_even_under_our_seal(rows):
    packed = artefacts.pack(fitted(rows), rows[:4])
    data = skops.io.dumps(make_pipeline(FunctionTransformer(shutil.rmtree)))
    with pytest.raises(artefacts.IncompatibleArtefact, match="rmtree"):
        artefacts.unpack(resealed(packed, data))


def test_a_file_that_would_fill_the_memory_is_refused(rows):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("schema.json", "w") as file:
        for _ in range(artefacts.LARGEST // 2**20 + 1):
            file.write(bytes(2**20))
    with pytest.raises(artefacts.IncompatibleArtefact, match="would take"):
        artefacts.parse(buffer.getvalue())


def forged(model, **changes):
    """Return the model with the first inner node of its first tree changed."""
    tree = model.estimators_.flat[0].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    for field, value in changes.items():
        state["nodes"][field][0] = value
    tree.__setstate__(state)
    return model


@pytest.mark.parametrize("change", [{"left_child": 10**6}, {"right_child": 0}, {"feature": 9}, {"feature": -7}])
def test_a_tree_that_points_outside_itself_or_in_circles_is_never_walked(rows, change):
    data = skops.io.dumps(forged(fitted(rows, "GradientBoosting"), **change))
    with pytest.raises(artefacts.IncompatibleArtefact, match="BadTree"):
        artefacts.parse(data)


def test_trees_of_histograms_are_checked_too(rows):
    model = fitted(rows, "HistGradientBoosting")
    tree_safety.check(model, 4)
    model._predictors[0][0].nodes["left"][0] = 10**6
    with pytest.raises(tree_safety.BadTree, match="outside"):
        tree_safety.check(model, 4)
    with pytest.raises(tree_safety.BadTree, match="feature"):
        tree_safety.check(fitted(rows, "HistGradientBoosting"), 1)


@pytest.mark.django_db
def test_a_stored_model_comes_out_of_the_database_as_it_went_in(rows):
    model = fitted(rows, "HistGradientBoosting")
    stored = version()
    golden = np.vstack([rows[:4], [[-0.0, 1e16, 1e-300, 5e-324]]])
    artefacts.store(stored, model, golden)
    assert np.array_equal(artefacts.load(stored).predict_proba(rows), model.predict_proba(rows))


@pytest.mark.django_db
def test_a_version_whose_model_was_removed_says_so(rows):
    stored = version()
    artefacts.store(stored, fitted(rows), rows[:4]).delete()
    with pytest.raises(artefacts.MissingArtefact, match="has no stored model"):
        artefacts.load(stored)


@pytest.mark.django_db
def test_a_model_is_opened_once_and_again_when_its_seal_changes(rows):
    stored = version()
    artefacts.store(stored, fitted(rows), rows[:4])
    first = artefacts.load(stored)
    assert artefacts.load(stored) is first
    Artefact.objects.all().delete()
    artefacts.store(stored, fitted(rows, "AdaBoost"), rows[:4])
    assert type(artefacts.load(stored)).__name__ == "AdaBoostClassifier"


@pytest.mark.django_db
def test_a_model_changed_in_the_table_is_not_loaded(rows):
    stored = version()
    row = artefacts.store(stored, fitted(rows), rows[:4])
    Artefact.objects.filter(pk=row.pk).update(data=b"PK" + bytes(row.data)[2:-1] + b"\x01")
    with pytest.raises(artefacts.ForgedArtefact):
        artefacts.load(stored)


@pytest.mark.django_db
def test_only_the_last_few_models_are_kept_in_memory(rows):
    packed = artefacts.pack(fitted(rows), rows[:4])
    versions = [version(f"20260101_00000{number}") for number in range(artefacts.KEPT + 1)]
    for one in versions:
        artefacts.keep(one, packed)
    first = artefacts.load(versions[0])
    for one in versions[1:]:
        artefacts.load(one)
    assert artefacts.load(versions[0]) is not first
    assert artefacts.load(versions[-1]) is artefacts.load(versions[-1])


def test_processes_that_load_no_model_never_import_scikit_learn():
    code = (
        "import sys, django; django.setup(); import mlmodels.registry.artefacts; "
        "import mlmodels.pipeline.feature_schemas, mlmodels.registry.tree_safety; "
        "sys.exit(any(name in sys.modules for name in ('sklearn', 'skops', 'scipy')))"
    )
    root = Path(artefacts.__file__).parents[2]
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=root).returncode == 0


# --- the key


def test_a_desk_of_an_older_version_gets_the_secret_that_it_lacks(tmp_path):
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({"SECRET_KEY": "kept", "TOKEN_PEPPER": "too", "OTHER": "untouched"}))
    path.chmod(0o600)
    values = secrets.load_or_create(tmp_path)
    assert (values["SECRET_KEY"], values["TOKEN_PEPPER"], values["OTHER"]) == ("kept", "too", "untouched")
    assert len(values["ARTEFACT_KEY"]) > 60
    assert secrets.load_or_create(tmp_path) == values == json.loads(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_processes_that_start_at_once_agree_on_the_secrets(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda _: secrets.load_or_create(tmp_path / "var"), range(16)))
    assert all(values == read[0] for values in read)
    assert set(read[0]) == set(secrets.NAMES)
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700


def test_the_seal_is_made_with_the_key_of_the_desk():
    assert django_settings.ARTEFACT_KEY not in ("", django_settings.SECRET_KEY)
