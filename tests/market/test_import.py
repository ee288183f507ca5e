"""Candles from files: every dialect goes in once, every bad line is named, gaps are known."""

import gzip
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from market.gaps import reconcile_gaps
from market.importing.importer import Imported, import_file
from market.importing.names import ImportProblem, find_columns, series_of
from market.importing.precision import infer_steps
from market.models import Candle, Gap, Instrument, MarketKind
from market.services import NewCandle, ensure_instrument, store_candles

pytestmark = pytest.mark.django_db
START = int(datetime(2025, 3, 1, tzinfo=UTC).timestamp())
HEADER = "ts,open,high,low,close,volume"


def row(number: int, time: object = None) -> str:
    at = (START + number * 300) * 1000 if time is None else time
    return f"{at},{100 + number % 20}.25,120.5,{99.5},101.125,3.00000001"


def write(folder: Path, lines: list[str], name: str = "BTCUSDT_5m.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def stored_times() -> list[int]:
    times = Candle.objects.order_by("open_time").values_list("open_time", flat=True)
    return [(int(at.timestamp()) - START) // 300 for at in times]


def test_a_csv_goes_in_exactly_and_only_once(tmp_path: Path) -> None:
    path = write(tmp_path, [HEADER, *(row(number) for number in range(5))])
    first, second = import_file(path), import_file(path)
    assert (first.read, first.stored, first.bad.count, first.gaps) == (5, 5, 0, 0)
    assert (second.read, second.stored, second.already_there) == (5, 0, 5)
    candle = Candle.objects.order_by("open_time")[0]
    assert (candle.open, candle.close) == (Decimal("100.25"), Decimal("101.125"))
    assert candle.volume == Decimal("3.00000001")
    assert (candle.kind, candle.timeframe, candle.instrument.symbol) == ("imported", 300, "BTCUSDT")
    assert candle.instrument.feed is None


@pytest.mark.parametrize(
    ("header", "time"),
    [
        ("time", lambda at: at), ("TIMESTAMP", lambda at: at * 1000), ("open_time", lambda at: at * 1_000_000),
        ("Date", lambda at: datetime.fromtimestamp(at, UTC).isoformat()), ("ts", lambda at: at * 10**9),
        ("date", lambda at: datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")),
        ("timestamp", lambda at: datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("time", lambda at: f'"{at}"'), ("time", lambda at: f" {at}.0 "),
    ],
)  # fmt: skip
def test_times_are_read_in_every_unit_and_as_text(tmp_path: Path, header: str, time) -> None:
    lines = [f"{header},Open,HIGH,low,Close,Volume,extra"]
    lines += [f"{row(number, time(START + number * 300))},x" for number in range(3)]
    assert import_file(write(tmp_path, lines)).stored == 3
    assert stored_times() == [0, 1, 2]


def test_a_unit_that_changes_half_way_is_read_row_by_row(tmp_path: Path) -> None:
    lines = [HEADER, row(0), row(1, (START + 300) * 1_000_000), row(2, START + 600)]
    assert import_file(write(tmp_path, lines)).stored == 3
    assert stored_times() == [0, 1, 2]


def test_columns_in_any_order_compressed_with_another_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT_5m_20251019_120000.csv.gz"
    lines = ["Volume;Close;Low;High;Open;Time", f"3;101;99;120;100;{START}"]
    path.write_bytes(gzip.compress("\r\n".join(lines).encode()))
    assert import_file(path).stored == 1
    candle = Candle.objects.get()
    assert (candle.open, candle.high, candle.volume) == (Decimal(100), Decimal(120), Decimal(3))


def test_a_file_without_a_header_is_read_as_exchanges_write_them(tmp_path: Path) -> None:
    lines = [f"{(START + 300 * number) * 1_000_000},100,120,99,101,3,0,0,0,0,0,0" for number in range(3)]
    assert import_file(write(tmp_path, lines, "BTCUSDT-5m-2025-03.csv")).stored == 3


def test_newest_first_is_an_order_too(tmp_path: Path) -> None:
    result = import_file(write(tmp_path, [HEADER, *(row(number) for number in (4, 3, 2, 1, 0))]))
    assert (result.stored, result.bad.count, result.gaps) == (5, 0, 0)


@pytest.mark.parametrize("unit", ["ms", "us", "int64", "text", "decimal", "float32"])
def test_parquet_goes_in_with_any_column_types(tmp_path: Path, unit: str) -> None:
    times = pa.array([(START + 300 * number) * 1000 for number in range(4)], pa.int64())
    values: dict[str, pa.Array] = {name: pa.array([105.5] * 4) for name in ("open", "high", "low", "close")}
    if unit in ("ms", "us"):
        times = times.cast(pa.timestamp("ms")).cast(pa.timestamp(unit, "UTC"))
    if unit == "text":
        values = {name: column.cast(pa.string()) for name, column in values.items()}
    if unit == "decimal":
        values = {name: column.cast(pa.decimal128(12, 3)) for name, column in values.items()}
    if unit == "float32":
        values = {name: column.cast(pa.float32()) for name, column in values.items()}
    path = tmp_path / "ETHUSDT_5m.parquet"
    pq.write_table(pa.table({"timestamp": times, **values, "volume": pa.array([1, 2, 3, 4])}), path)
    assert import_file(path).stored == 4
    assert stored_times() == [0, 1, 2, 3]
    assert {candle.close for candle in Candle.objects.all()} == {Decimal("105.5")}


def test_floats_keep_the_decimals_they_were_written_with(tmp_path: Path) -> None:
    close = [92782.39, 0.00001234, 0.1 + 0.2, 123456789.12345678]
    path = tmp_path / "XRPUSDT_5m.parquet"
    times = [START + 300 * number for number in range(4)]
    columns = dict.fromkeys(("open", "high", "low", "close"), close)
    pq.write_table(pa.table({"ts": times, **columns, "volume": [0.0] * 4}), path)
    assert import_file(path).stored == 4
    stored = list(Candle.objects.order_by("open_time").values_list("close", flat=True))
    expected = [Decimal(repr(value)).quantize(Decimal("1e-10")) for value in close]
    assert stored == expected


BAD = {
    "abc,120,99,101,3": "open is not a number",
    "100,nan,99,101,3": "high is not a number",
    "100,120,inf,101,3": "low is not a number",
    "100,120,99,,3": "close is not a number",
    "100,120,99,101,1e400": "volume is not a number",
    "1_00,120,99,101,3": "open is not a number",
    "100,120,-99,101,3": "low is not above zero",
    "100,120,0,101,3": "low is not above zero",
    "100,120,99,101,-3": "volume is negative",
    "100,120,99,101,1e30": "volume is too large",
    "100,98,99,98.5,3": "high is below low",
    "130,120,99,101,3": "open lies outside low and high",
    "100,120,99,98,3": "close lies outside low and high",
    "100,120,99,101": "has 5 columns instead of 6",
    "100,120,99,101,3,9": "has 7 columns instead of 6",
}


def test_every_bad_line_is_named_and_the_good_ones_go_in(tmp_path: Path, settings) -> None:
    settings.DATA_DIR = tmp_path / "data"
    lines, expected = [HEADER], []
    for number, (values, reason) in enumerate(BAD.items()):
        lines += [row(2 * number), f"{(START + 300 * (2 * number + 1)) * 1000},{values}"]
        expected.append((len(lines), reason))
    result = import_file(write(tmp_path, lines))
    assert result.bad.count == len(BAD) == result.gaps + 1
    assert result.stored == len(BAD)
    assert result.bad.report is not None
    report = [line.split(":", 2) for line in result.bad.report.read_text().splitlines()]
    assert sorted((int(line), reason.strip()) for _, line, reason in report) == expected


def test_only_twenty_bad_lines_are_shown_but_all_are_counted(tmp_path: Path, settings) -> None:
    settings.DATA_DIR = tmp_path / "data"
    lines = [HEADER, row(0), *(f"{START},x,1,1,1,1" for _ in range(50))]
    path = write(tmp_path, lines)
    out, errors = StringIO(), StringIO()
    call_command("import_candles", str(path), stdout=out, stderr=errors)
    shown = [line for line in errors.getvalue().splitlines() if "open is not a number" in line]
    assert len(shown) == 20
    assert shown[0] == f"{path}:3: open is not a number"
    assert "and 30 more bad lines" in errors.getvalue()
    assert "50" in out.getvalue()


@pytest.mark.parametrize(
    ("times", "bad"),
    [
        ([0, 1, 1, 2], {3: "the open time occurs twice"}),
        ([0, 1, 3, 2, 4], {3: "the time is out of order"}),
        ([0, 1, 2, 0, 3], {4: "the open time occurs twice"}),
        ([0, 1, 2, -5, 3], {4: "the time is out of order"}),
        ([0, 1, 5000, 2, 3, 4], {3: "the time is out of order"}),
        ([0, 0.5, 1], {2: "the time is not a bar's start"}),
        ([0, 1, 10**7], {3: "the candle is not closed yet"}),
    ],
)
def test_disorder_in_time_costs_only_the_lines_at_fault(tmp_path: Path, times: list[float], bad: dict) -> None:
    lines = [HEADER, *(row(0, int(START + 300 * number) * 1000) for number in times)]
    result = import_file(write(tmp_path, lines), now=START + 300 * 10_000)
    assert {line - 1: reason for line, reason in result.bad.first} == bad
    assert result.stored == len(times) - len(bad)


def test_blank_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    result = import_file(write(tmp_path, [HEADER, row(0), "", row(1), "torn", "", "1,x,1,1,1,1"]))
    assert result.stored == 2
    assert sorted(result.bad.first) == [(5, "has 1 columns instead of 6"), (7, "open is not a number")]


def test_garbage_bytes_are_bad_lines_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT_5m.csv"
    path.write_bytes(f'{HEADER}\n{row(0)}\n\xff\xfe,1,1,1,1,1\n{START},\xff,1,1,1,"\n{row(1)}\n'.encode("latin-1"))
    result = import_file(path)
    assert (result.stored, result.bad.count) == (2, 2)


def test_a_gap_is_recorded_and_closed_when_it_is_filled(tmp_path: Path) -> None:
    result = import_file(write(tmp_path, [HEADER, *(row(number) for number in (0, 1, 4, 5))]))
    gap = Gap.objects.get()
    assert result.gaps == 1
    assert gap.first_missing == datetime.fromtimestamp(START + 600, UTC)
    assert gap.next_present == datetime.fromtimestamp(START + 1200, UTC)
    result = import_file(write(tmp_path, [HEADER, row(2), row(3)]))
    gap.refresh_from_db()
    assert (gap.state, result.refilled) == (Gap.State.REFILLED, 1)


def test_a_gap_between_two_files_is_found_and_half_a_filling_shrinks_it(tmp_path: Path) -> None:
    for numbers in ((0, 1), (8, 9)):
        import_file(write(tmp_path, [HEADER, *(row(number) for number in numbers)]))
    import_file(write(tmp_path, [HEADER, row(4)]))
    gaps = [
        [(int(at.timestamp()) - START) // 300 for at in pair]
        for pair in Gap.objects.order_by("first_missing").values_list("first_missing", "next_present")
    ]
    assert gaps == [[2, 4], [5, 8]]


def test_a_gap_that_the_exchange_has_stays_so_until_filled() -> None:
    btc = ensure_instrument("BTCUSDT")
    times = [datetime.fromtimestamp(START + 300 * number, UTC) for number in range(4)]
    one = Decimal(1)
    keep = [NewCandle(btc.id, at, one, one, one, one, one) for at in (times[0], times[3])]
    store_candles(candles=keep, timeframe=300, kind=MarketKind.LIVE)
    span = {"instrument_id": btc.id, "timeframe": 300, "first": times[0], "last": times[3]}
    assert reconcile_gaps(**span, state=Gap.State.EXCHANGE) == (1, 0)
    assert reconcile_gaps(**span) == (0, 0)
    assert Gap.objects.get().state == Gap.State.EXCHANGE


def test_steps_follow_from_the_decimals_of_the_data(tmp_path: Path) -> None:
    lines = ["ts,open,high,low,close,volume", f"{START},2.0587,2.0618,2.0543,2.0556,538455.0"]
    import_file(write(tmp_path, lines, "XRPUSDT_5m.csv"))
    instrument = Instrument.objects.get()
    assert (instrument.tick_size, instrument.step_size) == (Decimal("0.0001"), Decimal(1))
    assert (instrument.base, instrument.quote) == ("XRP", "USDT")
    assert infer_steps(np.array([1.5, math.pi])) == Decimal("1e-8")


def test_simulated_candles_are_never_mixed_with_imported_ones(tmp_path: Path) -> None:
    btc = ensure_instrument("BTCUSDT")
    one = Decimal(1)
    candle = NewCandle(btc.id, datetime.fromtimestamp(START, UTC), one, one, one, one, one)
    store_candles(candles=[candle], timeframe=300, kind=MarketKind.SIMULATED)
    result = import_file(write(tmp_path, [HEADER, row(1)]))
    assert "can't be mixed" in result.problem
    assert Candle.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("BTCUSDT_5m.parquet", ("BTCUSDT", 300)), ("btcusdt_5m_45d.csv.gz", ("BTCUSDT", 300)),
        ("BTCUSDT-1h-2025-01.csv", ("BTCUSDT", 3600)), ("BTC_USDT-1d.csv", ("BTCUSDT", 86_400)),
        ("Binance_ETHUSDT_15m.csv", ("ETHUSDT", 900)), ("BTCUSDT_5S.csv", ("BTCUSDT", 5)),
    ],
)  # fmt: skip
def test_the_name_of_a_file_tells_symbol_and_timeframe(name: str, series: tuple[str, int]) -> None:
    found = series_of(Path(name), None, None)
    assert (found.symbol, found.timeframe) == series


def test_a_name_that_tells_nothing_asks_for_options() -> None:
    with pytest.raises(ImportProblem, match="give --symbol and --timeframe"):
        series_of(Path("data.csv"), None, None)
    assert series_of(Path("data.csv"), "btcusdt", "5m").symbol == "BTCUSDT"
    with pytest.raises(ImportProblem, match="not a timeframe"):
        series_of(Path("data.csv"), "BTCUSDT", "5 bananas")


def test_missing_columns_are_named() -> None:
    with pytest.raises(ImportProblem, match="column time, volume is missing"):
        find_columns(["open", "high", "low", "close"])


def problem(path: Path) -> str:
    result: Imported = import_file(path)
    assert result.good == 0
    return result.problem


def test_files_that_cannot_be_imported_say_why(tmp_path: Path) -> None:
    (tmp_path / "BTCUSDT_5m.csv").write_text("")
    assert problem(tmp_path / "BTCUSDT_5m.csv") == "the file is empty"
    assert "volume is missing" in problem(write(tmp_path, ["ts,open,high,low,close", "1,2,3,4,5"]))
    assert problem(write(tmp_path, [HEADER])) == "the file has no rows"
    assert problem(write(tmp_path, [HEADER, "x,1,1,1,1,1"])) == "no line of it is a candle"
    assert "unknown format '.xlsx'" in problem(write(tmp_path, ["x"], "BTCUSDT_5m.xlsx"))
    (tmp_path / "BTCUSDT_5m.parquet").write_bytes(b"no parquet")
    assert problem(tmp_path / "BTCUSDT_5m.parquet").startswith("can't be read")
    (tmp_path / "BTCUSDT_5m.csv.gz").write_bytes(gzip.compress(b"x" * 1000)[:20])
    assert problem(tmp_path / "BTCUSDT_5m.csv.gz").startswith("can't be read")


def test_the_command_takes_folders_and_patterns_and_fails_when_nothing_went_in(tmp_path: Path) -> None:
    write(tmp_path, [HEADER, row(0)])
    write(tmp_path, [HEADER, row(0)], "ETHUSDT_5m_x.csv")
    out, errors = StringIO(), StringIO()
    call_command("import_candles", str(tmp_path), stdout=out, stderr=errors)
    assert Candle.objects.count() == 2
    call_command("import_candles", str(tmp_path / "*.csv"), str(tmp_path / "none.csv"), stdout=out, stderr=errors)
    assert "there is no such file" in errors.getvalue()
    with pytest.raises(CommandError, match=r"Nothing was imported"):
        call_command("import_candles", str(tmp_path / "none.csv"), stdout=out, stderr=errors)


def test_order_is_kept_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("market.importing.reading.ROWS_AT_ONCE", 10)
    path = tmp_path / "BTCUSDT_5m.parquet"
    numbers = np.array([*range(25), 24, *range(25, 40)])
    columns = {name: np.full(len(numbers), 5.0) for name in ("open", "high", "low", "close", "volume")}
    pq.write_table(pa.table({"ts": START + numbers * 300, **columns}), path)
    result = import_file(path)
    assert (result.stored, result.bad.first) == (40, [(26, "the open time occurs twice")])
    assert Gap.objects.count() == 0
    last = Candle.objects.order_by("-open_time")[0]
    assert last.open_time == datetime.fromtimestamp(START, UTC) + timedelta(seconds=39 * 300)
