"""Model folders of 2.5: imported, scored on our candles beside their claims, exported, and imported again."""

import json

import joblib
import numpy as np
import pytest
from django.core.management import CommandError, call_command
from sklearn.ensemble import AdaBoostClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from market.bars import Bars
from mlmodels.legacy import export, folder, sandbox_worker, scoring, services
from mlmodels.legacy.errors import BadFolder
from mlmodels.models import Artefact, ModelVersion
from mlmodels.pipeline import feature_schemas, features
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.labels import PROFILES, LabelRule
from mlmodels.registry import artefacts
from tests.support import legacy_folders as v25

NOTHING: dict = {}


@pytest.fixture(autouse=True)
def _nothing_is_remembered():
    artefacts.forget()


def candles(days=25, seed=5, noise=0.002):
    n = days * 288
    generator = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(generator.normal(0, noise, n)))
    opened = np.concatenate([[100.0], close[:-1]])
    wick = np.abs(generator.normal(0, noise, n)) * close
    times = 1_700_000_100 - 1_700_000_100 % 300 + 300 * np.arange(n)
    high, low = np.maximum(opened, close) + wick, np.minimum(opened, close) - wick
    return Bars(times, opened, high, low, close, generator.uniform(1, 9, n))


def bad(path, match):
    with pytest.raises(BadFolder, match=match) as error:
        folder.read(path)
    assert "Nothing was stored" in str(error.value)


# --- what a folder says


def test_both_dialects_of_2_5_are_read(tmp_path):
    a = folder.read(v25.good(tmp_path / "20251016_234123"))
    assert (a.name, a.features, a.label) == ("20251016_234123", features.V25.features, PROFILES["inventory"])
    assert a.claimed["accuracy"] == v25.METRICS["accuracy"]
    assert (a.claimed["training_rows"], a.claimed["from"]) == (3951, "model_metrics.json")
    assert "config.json says accuracy 0.6562 against 0.9985" in " ".join(a.notes)

    config = {"version": "x", "model_type": "adaboost", "features": v25.TWELVE, "data_source": "live"}
    path = v25.good(tmp_path / "20251020_215713", config=config, metrics=None)
    (path / "metrics.json").write_text(json.dumps(v25.METRICS_B))
    (path / "reversal_scaler.joblib").rename(path / "scaler.joblib")
    b = folder.read(path)
    assert (b.claimed["from"], b.claimed["f1"], b.claimed["best_model"]) == ("metrics.json", 0.9987, "adaboost")
    assert list(b.files) == ["reversal_model.joblib", "scaler.joblib"]


def test_latest_is_followed_as_link_as_file_and_from_its_parent(tmp_path):
    path = v25.good(tmp_path / "20251016_234123")
    (tmp_path / "latest").symlink_to(path.name)
    assert folder.read(tmp_path / "latest").name == folder.read(tmp_path).name == path.name
    (tmp_path / "latest").unlink()
    (tmp_path / "latest").write_text(f"models/{path.name}\n")
    assert folder.read(tmp_path / "latest").name == folder.read(tmp_path).name == path.name
    (tmp_path / "latest").write_text("../../etc")
    bad(tmp_path, "no folder")


def test_a_config_as_the_inventory_has_it_lists_no_features_and_means_the_twelve(tmp_path):
    config = {
        "model_type": "GradientBoostingClassifier", "n_estimators": 200, "max_depth": 7, "learning_rate": 0.1,
        "subsample": 0.8, "min_samples_split": 5, "min_samples_leaf": 2, "random_state": 42,
        "symbols": ["BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT"], "trained_at": "2025-10-17T01:29:00",
    }  # fmt: skip
    read = folder.read(v25.good(tmp_path / "20251016_234123", config=config))
    assert read.features == features.V25.features
    assert "lists no features" in read.notes[0]


def test_a_folder_without_scores_or_scaler_is_read_and_says_so(tmp_path):
    config = {"features": v25.TWELVE}
    read = folder.read(v25.folder(tmp_path / "mine", model=[], config=config, metrics=None))
    assert read.notes == (
        "The folder claims no scores.",
        "The folder has no scaler: the model is given the features as they are.",
    )


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("config.json", None, "has no config.json"),
        ("reversal_model.joblib", None, "has no reversal_model.joblib"),
        ("config.json", "{broken", "can't be read"),
        ("config.json", "[1]", "holds no object"),
        ("config.json", "[" * 100_000, "can't be read"),
        ("config.json", '{"features": []}', "no list of features"),
        ("config.json", '{"features": [1, 2]}', "no names"),
        ("config.json", '{"features": ["rsi", "rsi"]}', "rsi more than once"),
        ("config.json", '{"features": ["rsi"], "label": {"threshold": -1}}', "label that can't be used"),
        ("config.json", '{"features": ["rsi"], "label": {"window": 2.5}}', "label that can't be used"),
        ("config.json", '{"features": ["\\u0000"]}', "no names"),
        ("config.json", '{"features": ["rsi"], "parameters": {"rate": 1e999}}', "1e999 is not a number"),
        ("model_metrics.json", '{"accuracy": NaN}', "NaN is not a number: write null"),
        ("model_metrics.json", '{"training_rows": ' + "9" * 400 + "}", "is not a number"),
    ],
)
def test_a_broken_folder_is_told_and_stores_nothing(tmp_path, name, content, match):
    path = v25.good(tmp_path / "mine")
    (path / name).unlink()
    if content is not None:
        (path / name).write_text(content)
    bad(path, match)


def test_links_out_of_the_folder_and_files_too_large_are_not_read(tmp_path, monkeypatch):
    path = v25.good(tmp_path / "mine")
    (tmp_path / "secret").write_text("{}")
    (path / "model_metrics.json").unlink()
    (path / "model_metrics.json").symlink_to(tmp_path / "secret")
    bad(path, "leads out of it")
    (path / "model_metrics.json").unlink()
    monkeypatch.setattr(folder.read.__globals__["_bytes"], "__defaults__", (10,))
    bad(path, "larger than 10 bytes")


def test_words_of_strangers_can_be_printed_and_stored(tmp_path):
    config = {
        **v25.CONFIG,
        "model_type": "\x1b[2Jgone\x00\ud800",
        "symbols": ["BTC\n", 5],
        "parameters": {"a\x07": [1]},
    }
    read = folder.read(v25.good(tmp_path / "mine", config=config))
    assert read.claimed["model_type"] == "?[2Jgone??"
    assert read.claimed["symbols"] == ["BTC?", "5"]
    assert read.parameters == {}


# --- whose features


IN_BOTH = {"volume_ratio", "close_position", "rsi"}
IN_39 = {"sma_5", "sma_20", "sma_50", "macd", "macd_signal", "macd_hist", "bb_position"}


@pytest.mark.parametrize(
    ("names", "name", "known"),
    [
        (feature_schemas.V25_OF_20251016, "v25-21", IN_BOTH),
        (feature_schemas.V25_OF_20251020, "v25-39", IN_BOTH | IN_39),
    ],
)
def test_the_lists_of_real_2_5_models_are_recognised_and_what_they_lack_is_said(names, name, known):
    recognised = feature_schemas.recognise(names)
    assert (recognised.schema, recognised.name) == (None, name)
    assert known.isdisjoint(recognised.missing)
    assert {"wick_up", "bullish_divergence", "trend_strength"} <= set(recognised.missing)
    assert f"{len(names)} features" in recognised.text
    assert "wick_up" in recognised.text
    assert len(names) == int(name[-2:])


def test_a_schema_is_its_names_in_their_order():
    for schema in feature_schemas.SCHEMAS.values():
        assert feature_schemas.recognise(schema.features).schema is schema
    turned = feature_schemas.recognise(features.V25.features[::-1])
    assert (turned.schema, turned.missing) == (None, ())
    assert "no schema has them in this order" in turned.text


# --- conversion


@pytest.mark.parametrize(
    "kind", [AdaBoostClassifier(n_estimators=5), HistGradientBoostingClassifier(max_iter=5), LogisticRegression()]
)
def test_models_of_other_kinds_are_converted_bit_for_bit(tmp_path, kind):
    scaler, model = v25.fitted(kind)
    read = folder.read(v25.folder(tmp_path / "mine", model=model, scaler=scaler, compress=3))
    head, data = sandbox_worker.convert(dict(read.files), list(read.features))
    wanted = model.predict_proba(scaler.transform(v25.rows()))
    assert np.array_equal(artefacts.parse(data).predict_proba(v25.rows()), wanted)
    assert head["estimator"] in type(kind).__name__


def test_features_in_another_order_than_the_model_knows_are_refused(tmp_path):
    scaler, model = v25.fitted()
    scaler.feature_names_in_ = np.array(v25.TWELVE[::-1], dtype=object)  # as after fit with a data frame
    read = folder.read(v25.folder(tmp_path / "mine", model=model, scaler=scaler))
    with pytest.raises(BadFolder, match="in another order"):
        sandbox_worker.convert(dict(read.files), list(read.features))


def test_a_model_of_another_number_of_features_is_refused(tmp_path):
    scaler, model = v25.fitted(count=5)
    read = folder.read(v25.folder(tmp_path / "mine", model=model, scaler=scaler))
    with pytest.raises(BadFolder, match=r"takes 5 features, by config\.json there are 12"):
        sandbox_worker.convert(dict(read.files), list(read.features))


def test_a_model_whose_parts_are_gone_says_which_scikit_learn_made_it(tmp_path):
    scaler, model = v25.fitted()
    del model.init_
    path = v25.folder(tmp_path / "mine", model=model, scaler=scaler)
    data = (path / "reversal_model.joblib").read_bytes()
    ours = artefacts.libraries()["scikit-learn"]
    files = {"reversal_model.joblib": data.replace(ours.encode(), b"0" * (len(ours) - 2) + b".1")}
    with pytest.raises(BadFolder, match=r"does not work here.*It was made by scikit-learn 0+\.1, this is"):
        sandbox_worker.convert(files, v25.TWELVE)


# --- scoring


def test_a_model_is_scored_by_its_own_label_where_that_is_ever_true():
    recipe = Recipe(schema="v25", label=LabelRule("fixed", 0.003))
    scored = scoring.score(lambda rows: np.full(len(rows), 0.3), features.V25, recipe, {"BTCUSDT": candles()}, 300)
    assert scored.report["label"] == recipe.label.text
    assert scored.report["holdout"]["period"]["days"] == pytest.approx(14)
    assert any("does not tell" in note for note in scored.notes)


def test_a_model_whose_label_is_too_rare_is_scored_by_the_desks():
    recipe = Recipe(schema="v25", label=LabelRule("fixed", 0.5))
    scored = scoring.score(lambda rows: np.full(len(rows), 0.3), features.V25, recipe, {"BTCUSDT": candles()}, 300)
    assert scored.report["label"] == PROFILES["default"].text
    assert "fewer than 30 times" in scored.notes[0]


def test_without_candles_enough_a_model_is_kept_and_says_that_it_was_not_scored():
    recipe = Recipe(schema="v25")
    assert scoring.score(np.asarray, features.V25, recipe, {}, 300).report is None
    few = scoring.score(np.asarray, features.V25, recipe, {"BTCUSDT": candles(days=2)}, 300)
    assert few.report is None
    assert few.notes[-1].startswith("Not scored: ")


# --- the whole way


@pytest.mark.django_db
def test_a_folder_is_imported_exported_and_imported_again_with_equal_probabilities(tmp_path):
    path = v25.good(tmp_path / "20251016_234123")
    scaler, model = joblib.load(path / "reversal_scaler.joblib"), joblib.load(path / "reversal_model.joblib")
    wanted = model.predict_proba(scaler.transform(v25.rows()))

    first = services.import_folder(path, series={"BTCUSDT": candles()})
    version = first.version
    assert (version.name, version.state, version.origin) == ("20251016_234123", "archived", "imported")
    assert (version.schema, version.schema_hash) == ("v25", features.V25.hash)
    assert version.family == "reversal-5m-real-fixed-0p02-5"
    assert version.claimed["accuracy"] > 0.99
    assert version.report["holdout"]["all_rows"]["rows"] > 1000
    assert np.array_equal(artefacts.load(version).predict_proba(v25.rows()), wanted)
    assert services.import_folder(path, series=NOTHING) == services.Imported(version, True)

    call_command("export_model", version.name, str(tmp_path / "out"))
    names = {item.name for item in (tmp_path / "out").iterdir()}
    assert names == {"reversal_model.joblib", "reversal_scaler.joblib", "config.json", "model_metrics.json"}
    metrics = json.loads((tmp_path / "out" / "model_metrics.json").read_text())
    assert metrics["accuracy"] == version.report["holdout"]["all_rows"]["accuracy"]
    assert {"precision", "recall", "f1", "trained_at", "training_rows", "pr_auc", "log_loss", "from"} <= set(
        metrics
    )
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["features"], config["symbols"]) == (v25.TWELVE, ["BTCUSDT", "ETHUSDT"])
    assert config["model_type"] == "GradientBoostingClassifier"

    again = services.import_folder(tmp_path / "out", series=NOTHING)
    assert not again.again
    assert again.version.name != version.name
    assert np.array_equal(artefacts.load(again.version).predict_proba(v25.rows()), wanted)


@pytest.mark.django_db
def test_a_model_with_features_nobody_defines_is_kept_unscored(tmp_path):
    scaler, model = v25.fitted(count=21)
    config = {"features": list(feature_schemas.V25_OF_20251016), "model_type": "GradientBoostingClassifier"}
    path = v25.folder(tmp_path / "20251316_999999", model=model, scaler=scaler, config=config)
    call_command("import_model", str(path))
    version = ModelVersion.objects.get()
    assert (version.schema, version.report) == ("v25-21", {})
    assert "18 of them have no definition here" in version.notes[0]
    assert version.name != path.name
    assert export.features(version) == config["features"]


@pytest.mark.django_db
def test_a_hostile_folder_leaves_no_row(tmp_path):
    class Bad:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'it-ran')!r}, 'w')",)

    path = v25.folder(tmp_path / "mine", model=Bad(), scaler=v25.fitted()[0])
    with pytest.raises(CommandError, match=r"builtins\.exec.*Nothing in it was run and nothing was stored"):
        call_command("import_model", str(path))
    assert not (tmp_path / "it-ran").exists()
    assert not ModelVersion.objects.exists()
    assert not Artefact.objects.exists()


@pytest.mark.django_db
def test_an_export_overwrites_nothing_and_needs_a_version(tmp_path):
    with pytest.raises(CommandError, match="no version 20990101_000000"):
        call_command("export_model", "20990101_000000", str(tmp_path / "out"))
    version = ModelVersion.objects.create(
        name="20260101_000000", family="f", timeframe=300, simulated=False, schema="v25", schema_hash="0",
        recipe=Recipe(schema="v25").as_json(),
    )  # fmt: skip
    with pytest.raises(CommandError, match="has no stored model"):
        call_command("export_model", version.name, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    artefacts.store(version, v25.fitted()[1], v25.rows()[:4])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("kept")
    with pytest.raises(CommandError, match="not empty"):
        call_command("export_model", version.name, str(tmp_path / "full"))
    assert [item.name for item in (tmp_path / "full").iterdir()] == ["mine.txt"]
    call_command("export_model", version.name, str(tmp_path / "out"))
    assert not (tmp_path / "out" / "reversal_scaler.joblib").exists()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["full", "out"]
