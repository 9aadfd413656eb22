"""How plugins are found, and what is said of those that do not work."""

from __future__ import annotations

import copy
import importlib
import logging
import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import attrs
import pytest

from amct_core import extensions, hookspecs, plugins
from amct_core.errors import PluginError
from amct_core.plugins import BUILTIN, Registries, create_host
from amct_core.registry import Registry

PluginFactory = Callable[..., EntryPoint]

PREAMBLE = """
from amct_core.extensions import *
from amct_core.hookspecs import hookimpl
"""


@pytest.fixture
def make_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PluginFactory:
    """Return a function that writes a plugin module and gives the entry point that names it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, source: str, module: str = "") -> EntryPoint:
        module = module or f"{name}_module"
        (tmp_path / f"{module}.py").write_text(PREAMBLE + textwrap.dedent(source))
        monkeypatch.delitem(sys.modules, module, raising=False)
        importlib.invalidate_caches()
        return EntryPoint(name, module, "amct")

    return make


SHIFT_SEARCH = """
@hookimpl
def amct_shift_searches():
    return [ShiftSearch(name={name!r})]
"""


LAYER_TYPE = """
@hookimpl
def amct_layer_types():
    return [LayerType("Gain", {half}=abs, exact={half!r} != "run")]
"""


def hook_returning(expression: str) -> str:
    return f"@hookimpl\ndef amct_shift_searches():\n    return {expression}\n"


def shift_search_error(entry_point: EntryPoint) -> str:
    """Return what is said when the shift-N searches of a plugin are asked for."""
    with pytest.raises(PluginError) as caught:
        _ = Registries(create_host([entry_point])).shift_searches
    return str(caught.value)


class TestPluginsThatWork:
    def test_what_a_plugin_registers_is_found_by_name(self, make_plugin: PluginFactory) -> None:
        found = Registries(create_host([make_plugin("mine", SHIFT_SEARCH.format(name="fixed"))]))
        assert found.shift_searches.get("fixed").name == "fixed"
        assert found.shift_searches.provider("fixed") == "mine"

    def test_a_generator_is_as_good_as_a_list(self, make_plugin: PluginFactory) -> None:
        source = "@hookimpl\ndef amct_shift_searches():\n    yield ShiftSearch(name='lazy')\n"
        found = Registries(create_host([make_plugin("mine", source)]))
        assert "lazy" in found.shift_searches

    def test_a_plugin_may_register_nothing(self, make_plugin: PluginFactory) -> None:
        with_it = Registries(create_host([make_plugin("mine", hook_returning("()"))]))
        assert with_it.shift_searches.names() == Registries(create_host([])).shift_searches.names()

    def test_an_object_of_a_module_can_be_the_plugin(self, make_plugin: PluginFactory) -> None:
        make_plugin(
            "mine",
            """
            class Plugin:
                @hookimpl
                def amct_shift_searches(self):
                    return [ShiftSearch(name="of_an_object")]

            plugin = Plugin()
            """,
        )
        host = create_host([EntryPoint("mine", "mine_module:plugin", "amct")])
        assert Registries(host).shift_searches.provider("of_an_object") == "mine"

    def test_hooks_are_called_when_their_kind_is_asked_for_and_once(
        self, make_plugin: PluginFactory, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source = "@hookimpl\ndef amct_shift_searches():\n    print('called')\n    return []\n"
        found = Registries(create_host([make_plugin("mine", source)]))
        _ = found.cli_commands
        assert capsys.readouterr().out == ""
        _ = found.shift_searches, found.shift_searches
        assert capsys.readouterr().out == "called\n"


class TestBuiltIns:
    def test_they_come_through_the_hooks_from_a_plugin_of_their_own(self) -> None:
        host = create_host([])
        assert [name for name, _ in host.manager.list_name_plugin()] == [BUILTIN]
        found = Registries(host)
        provided: dict[str, Registry[Any]] = {
            "ulq_quantize": found.activation_algorithms,
            "arq_retrain": found.weight_algorithms,
            "ifmr": found.calibrators,
            "search_n": found.shift_searches,
            "search_n_v2": found.shift_searches,
            "none": found.shift_searches,
        }
        assert {name: kind.provider(name) for name, kind in provided.items()} == dict.fromkeys(
            provided, BUILTIN
        )

    def test_without_their_plugin_there_are_none(self) -> None:
        host = create_host([])
        host.manager.unregister(name=BUILTIN)
        assert Registries(host).activation_algorithms.names() == []
        assert Registries(host).cli_commands.names() == []


class TestConflicts:
    def test_one_name_from_two_plugins_names_both(self, make_plugin: PluginFactory) -> None:
        host = create_host(
            [
                make_plugin("first", SHIFT_SEARCH.format(name="fixed")),
                make_plugin("second", SHIFT_SEARCH.format(name="fixed")),
            ]
        )
        with pytest.raises(PluginError, match="shift-N search 'fixed': 'first' and 'second'"):
            _ = Registries(host).shift_searches

    def test_a_plugin_cannot_take_the_name_of_a_built_in(self, make_plugin: PluginFactory) -> None:
        message = shift_search_error(make_plugin("mine", SHIFT_SEARCH.format(name="search_n_v2")))
        assert f"'search_n_v2': '{BUILTIN}' and 'mine'" in message

    def test_a_conflict_concerns_its_own_kind_alone(self, make_plugin: PluginFactory) -> None:
        host = create_host([make_plugin("mine", SHIFT_SEARCH.format(name="search_n"))])
        assert "ifmr" in Registries(host).calibrators

    @pytest.mark.parametrize("halves", [("run", "accumulate"), ("accumulate", "run")])
    def test_two_plugins_may_each_give_one_half_of_a_layer_type(
        self, make_plugin: PluginFactory, halves: tuple[str, str]
    ) -> None:
        first, second = (make_plugin(half, LAYER_TYPE.format(half=half)) for half in halves)
        types = Registries(create_host([first, second])).layer_types
        whole = types.get("Gain")
        assert whole.run is abs and whole.accumulate is abs
        assert whole.exact is False  # as one of the halves says
        assert types.provider("Gain") == ", ".join(halves)

    @pytest.mark.parametrize("half", ["run", "accumulate"])
    def test_the_same_half_from_two_plugins_is_a_conflict(
        self, make_plugin: PluginFactory, half: str
    ) -> None:
        source = LAYER_TYPE.format(half=half)
        host = create_host([make_plugin("first", source), make_plugin("second", source)])
        said = rf"one part of the layer type 'Gain' \({half}.*\): 'first' and 'second'"
        with pytest.raises(PluginError, match=said):
            _ = Registries(host).layer_types

    def test_of_two_entry_points_of_one_name_the_first_stays(
        self, make_plugin: PluginFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        host = create_host(
            [
                make_plugin("same", SHIFT_SEARCH.format(name="one"), module="first_module"),
                make_plugin("same", SHIFT_SEARCH.format(name="two"), module="second_module"),
            ]
        )
        (failed,) = host.failed
        assert failed.entry_point == "second_module"
        assert failed.reason == "two plugins are called 'same': first_module and second_module."
        assert "Uninstall one of the two" in failed.remedy
        (record,) = caplog.records
        assert failed.reason in record.getMessage()
        assert Registries(host).shift_searches.provider("one") == "same"
        assert "two" not in Registries(host).shift_searches

    def test_two_of_one_name_are_told_with_what_pip_calls_them(
        self, make_plugin: PluginFactory, tmp_path: Path
    ) -> None:
        points = [make_plugin("same", "", module=each) for each in ("first", "second")]
        for point, distribution in zip(points, ("pkg-one", "pkg-two")):
            metadata = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
            metadata.mkdir()
            text = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
            (metadata / "METADATA").write_text(text)
            (metadata / "entry_points.txt").write_text(f"[amct]\nsame = {point.value}\n")
        (failed,) = create_host(points).failed
        assert "first (from pkg-one) and second (from pkg-two)." in failed.reason

    def test_of_two_names_of_one_plugin_the_first_stays(self, make_plugin: PluginFactory) -> None:
        entry_point = make_plugin("one", SHIFT_SEARCH.format(name="fixed"))
        again = EntryPoint("other", entry_point.value, "amct")
        host = create_host([entry_point, again])
        (failed,) = host.failed
        assert "'one' and 'other' are the same: one_module, one_module." in failed.reason
        assert Registries(host).shift_searches.provider("fixed") == "one"

    def test_nobody_takes_the_name_of_the_core(self, make_plugin: PluginFactory) -> None:
        host = create_host([make_plugin(BUILTIN, "", module="mine")])
        (failed,) = host.failed
        assert f"'{BUILTIN}': amct_core.builtin" in failed.reason and "and mine" in failed.reason


class TestPluginsThatDoNotLoad:
    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            ("import no_such_module", "No module named 'no_such_module'"),
            ("def broken(:", "SyntaxError"),
            ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
            ("raise SystemExit('no display')", "SystemExit: no display"),
            (
                "@hookimpl\ndef amct_frontends(extra): ...",
                "plugin 'broken': hook amct_frontends takes the argument 'extra'; expected no "
                "argument.",
            ),
            (
                "@hookimpl(specname='amct_passes')\ndef own(a, b=1, *c, **d): ...",
                "hook amct_passes takes the argument 'a'; expected no argument.",
            ),
            (
                "@hookimpl\ndef amct_calibrators(one, two): ...",
                "hook amct_calibrators takes the arguments 'one', 'two'; expected no argument.",
            ),
            ("@hookimpl(wrapper=True)\ndef amct_passes(): ...", "not a generator function"),
        ],
        ids=[
            *("import", "syntax", "raise", "exit", "hook with an argument"),
            *("hook of another name with an argument", "arguments", "wrapper"),
        ],
    )
    def test_they_are_a_warning_that_names_the_entry_point(
        self,
        make_plugin: PluginFactory,
        caplog: pytest.LogCaptureFixture,
        source: str,
        reason: str,
    ) -> None:
        host = create_host([make_plugin("broken", source)])
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        message = record.getMessage()
        assert "'broken'" in message and "broken_module" in message and reason in message
        (failed,) = host.failed
        assert (failed.name, failed.entry_point) == ("broken", "broken_module")
        assert reason in failed.reason

    def test_the_rest_keeps_working(self, make_plugin: PluginFactory) -> None:
        host = create_host(
            [
                make_plugin("broken", "import no_such_module"),
                make_plugin("mine", SHIFT_SEARCH.format(name="fixed")),
            ]
        )
        assert Registries(host).shift_searches.names() == [
            "fixed",
            "none",
            "search_n",
            "search_n_v2",
        ]

    def test_an_unknown_name_mentions_them(self, make_plugin: PluginFactory) -> None:
        found = Registries(create_host([make_plugin("broken", "import no_such_module")]))
        with pytest.raises(PluginError, match="failed to load and may have provided it: 'broken'"):
            found.shift_searches.get("fixed")

    def test_a_misspelt_hook_is_a_warning(
        self, make_plugin: PluginFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        source = "@hookimpl\ndef amct_shift_search():\n    return []\n"
        create_host([make_plugin("mine", source)])
        (record,) = caplog.records
        message = record.getMessage()
        for word in ("'mine'", "mine_module", "amct_shift_search,", "amct_shift_searches"):
            assert word in message

    @pytest.mark.parametrize(
        ("hook", "said"),
        [
            ("amct_layer_typs", "is never called; did you mean amct_layer_types?"),
            ("amct_report_section", "is never called; did you mean amct_report_sections?"),
            ("on_start", "is never called; hooks: amct_frontends, amct_layer_types, "),
        ],
    )
    def test_it_tells_the_nearest_name_or_all(
        self,
        make_plugin: PluginFactory,
        caplog: pytest.LogCaptureFixture,
        hook: str,
        said: str,
    ) -> None:
        create_host([make_plugin("mine", f"@hookimpl\ndef {hook}():\n    return []\n")])
        (record,) = caplog.records
        assert f"implements {hook}, which is no hook" in record.getMessage()
        assert said in record.getMessage()

    @pytest.mark.parametrize(
        ("source", "said"),
        [
            ("", ("has no hook, so that it adds nothing", "@hookimpl", "amct_shift_searches")),
            ("def searches():\n    return []\n", ("has no hook", "@hookimpl")),
            (
                "def amct_shift_searches():\n    return []\n",
                ("has amct_shift_searches without @hookimpl", "never called"),
            ),
            (
                hook_returning("[]") + "\ndef amct_calibrators():\n    return []\n",
                ("has amct_calibrators without @hookimpl", "never called"),
            ),
        ],
        ids=["empty", "functions of other names", "not marked", "one of two is not marked"],
    )
    def test_a_plugin_that_adds_nothing_is_a_warning(
        self,
        make_plugin: PluginFactory,
        caplog: pytest.LogCaptureFixture,
        source: str,
        said: tuple[str, ...],
    ) -> None:
        host = create_host([make_plugin("mine", source)])
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        message = record.getMessage()
        for word in ("plugin 'mine' (entry point mine_module)", *said):
            assert word in message
        assert host.failed == []

    def test_those_that_are_installed_with_the_product_are_no_warning(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        create_host(plugins.installed_entry_points())
        assert caplog.records == []


class TestNonsense:
    @pytest.mark.parametrize(
        ("expression", "found", "expected"),
        [
            ("None", "returned None", "an iterable"),
            ("'search'", "returned 'search'", "an iterable"),
            ("ShiftSearch(name='alone')", "name='alone'", "an iterable"),
            ("['search']", "'search' among its items, of type str", "instances of ShiftSearch"),
            ("[ShiftSearch]", "of type type;", "instances of ShiftSearch"),
            ("[Calibrator(name='c', calibrate=len)]", "of type Calibrator", "ShiftSearch"),
            ("1 / 0", "ZeroDivisionError: division by zero", ""),
            ("(1 / zero for zero in [0])", "ZeroDivisionError: division by zero", ""),
            ("[ShiftSearch(name=3)]", "ShiftSearch.name is 3", "letters, digits"),
            ("[ShiftSearch(name='s', start=3)]", "'s': start is 3", "a callable"),
            (
                "[Evaluator(name='e', score=len)]",
                "Evaluator 'e': missing a required argument: 'description'",
                "expected name, description, score.",
            ),
            (
                "[CliCommand('c', 'Test.', len, hidden=True)]",
                "CliCommand 'c': got an unexpected keyword argument 'hidden'",
                "expected name, help, load, writes_log, runs_framework.",
            ),
            (
                "[Fact(True)]",
                "Fact: missing a required argument: 'status'",
                "value, status, source",
            ),
            ("[LayerType()]", "LayerType: missing a required argument: 'name'", "parameters"),
            ("[Fact(True, 'sure', 's')]", "Fact: status is 'sure'", "'verified', 'inferred' or"),
            ("[LayerType(3)]", "LayerType '3': name is 3", "a text"),
            ("[LayerType('G', quantization=True)]", "quantization is True", "a Quantization"),
        ],
    )
    def test_it_is_an_error_that_names_plugin_hook_found_and_expected(
        self, make_plugin: PluginFactory, expression: str, found: str, expected: str
    ) -> None:
        message = shift_search_error(make_plugin("nonsense", hook_returning(expression)))
        assert "plugin 'nonsense': hook amct_shift_searches" in message
        assert found in message
        assert expected in message

    def test_a_frontend_without_a_name_is_nonsense(self, make_plugin: PluginFactory) -> None:
        source = """
        class Nameless(Frontend):
            recognises = read = insert = read_retrained = write_fake_quant = None
            fake_quant_executor = None

        @hookimpl
        def amct_frontends():
            return [Nameless()]
        """
        host = create_host([make_plugin("nonsense", source)])
        with pytest.raises(PluginError, match=r"'nonsense'.*amct_frontends.*name is None"):
            _ = Registries(host).frontends


PASS = """
@hookimpl
def amct_passes():
    return [NetworkPass("narrow", "{frontend}", "before insertion", len)]
"""


class TestPasses:
    @pytest.mark.parametrize(
        ("frontend", "said"),
        [("cafe", "did you mean 'caffe'?"), ("torch", "known: 'caffe'"), ("caffe", None)],
    )
    def test_one_for_no_frontend_is_a_warning(
        self,
        make_plugin: PluginFactory,
        caplog: pytest.LogCaptureFixture,
        frontend: str,
        said: str | None,
    ) -> None:
        others = plugins.installed_entry_points()
        host = create_host([*others, make_plugin("mine", PASS.format(frontend=frontend))])
        _ = Registries(host).passes
        told = f"pass 'narrow' of plugin 'mine' never runs: there is no frontend '{frontend}'; "
        expected = [] if said is None else [told + said]
        assert [record.getMessage() for record in caplog.records] == expected


FAMILY = """
@hookimpl
def amct_processor_families():
    facts = [Fact(False, "verified", "the manual")] * 4
    yield ProcessorFamily("{name}", "a toy", "{pattern}", ["{example}"], *facts, lambda graph: [])
    {more}
"""


class TestFamiliesOfProcessors:
    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"more": "1 / 0"}, "hook amct_processor_families failed with ZeroDivisionError"),
            ({"more": "yield 3"}, "returned 3 among its items"),
            ({"pattern": "T.*", "example": "Two"}, "'Toy1' belongs to two families of processors"),
            ({"name": "Toy"}, "two plugins provide the family of processors 'Toy'"),
        ],
    )
    def test_a_broken_one_costs_those_of_its_plugin_alone(
        self,
        make_plugin: PluginFactory,
        caplog: pytest.LogCaptureFixture,
        changed: dict[str, str],
        said: str,
    ) -> None:
        toy = {"name": "Toy", "pattern": "Toy[0-9]", "example": "Toy1", "more": ""}
        mine = {"name": "Mine", "pattern": "Mine", "example": "Mine", "more": "", **changed}
        if "name" in changed or "more" in changed:
            mine["pattern"] = mine["example"] = "Mine"
        points = [
            make_plugin("able", FAMILY.format(**toy)),
            make_plugin("broken", FAMILY.format(**mine)),
        ]
        families = Registries(create_host(points)).processor_families
        assert families.names() == ["Toy"]
        assert said in str(families.left_out["broken"])
        (record,) = caplog.records
        assert "families of processors of plugin 'broken' are left out: " in record.getMessage()
        assert said in record.getMessage()


class TestInstalledEntryPoints:
    def found(self, monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> list[EntryPoint]:
        class Selectable(list[EntryPoint]):
            def select(self, group: str) -> list[EntryPoint]:
                return [point for point in self if point.group == group]

        monkeypatch.setattr(
            "importlib.metadata.entry_points", lambda: Selectable(points), raising=True
        )
        return plugins.installed_entry_points()

    def test_a_distribution_that_is_found_twice_counts_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        point, twin = EntryPoint("a", "module", "amct"), EntryPoint("a", "module", "amct")
        assert self.found(monkeypatch, point, twin) == [point]

    def test_two_modules_of_one_name_both_count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        points = [EntryPoint("a", "module", "amct"), EntryPoint("a", "other", "amct")]
        assert self.found(monkeypatch, *points) == points

    def test_other_groups_do_not_count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.found(monkeypatch, EntryPoint("a", "module", "console_scripts")) == []

    def test_the_projects_own_comes_before_another_of_its_name(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        points = [
            EntryPoint("caffe", value, "amct") for value in ("aaa.hooks", "amct_caffe.plugin")
        ]
        assert self.found(monkeypatch, *points) == points[::-1]

    def test_the_order_is_that_of_the_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        points = [EntryPoint(name, "module_" + name, "amct") for name in "cab"]
        assert [point.name for point in self.found(monkeypatch, *points)] == ["a", "b", "c"]


def test_every_hook_has_a_registry() -> None:
    """Each hook is collected by exactly one property of Registries."""
    collected = []

    class Host:
        def collect(self, hook: str, *arguments: object, join: object = None) -> Registry[Any]:
            collected.append(hook)
            return Registry(hook)

        collect_working = collect

    registries = Registries(Host())  # type: ignore[arg-type]
    for name in vars(Registries):
        if not name.startswith("_"):
            getattr(registries, name)
    assert sorted(collected) == sorted(name for name in vars(hookspecs) if name.startswith("amct_"))


class TestWhatIsSaidOfErrors:
    def test_a_validator_of_attrs_is_told_without_its_field(self) -> None:
        @attrs.frozen
        class Settings:
            steps: int = attrs.field(validator=attrs.validators.in_((1, 2)))

        with pytest.raises(ValueError, match="steps") as caught:
            Settings(3)
        told = plugins.described(caught.value)
        assert told.startswith("ValueError: 'steps' must be in (1, 2)")
        assert "Attribute" not in told

    def test_a_type_error_inside_a_constructor_stays_what_it_is(self) -> None:
        with pytest.raises(TypeError, match="not iterable"):
            extensions.SectionContent(rows=3)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="not iterable"):
            extensions.ProcessorFamily("n", "d", "p", 3, *[None] * 5)  # type: ignore[arg-type]

    def test_what_plugins_construct_can_still_be_copied_and_extended(self) -> None:
        search = extensions.ShiftSearch("mine")
        assert copy.deepcopy(search) == search == attrs.evolve(search)

        class Own(extensions.DeployBackend):
            """A subclass with arguments of its own."""

            def __init__(self, size: int) -> None:
                super().__init__("own", "description", lambda *each: None)
                object.__setattr__(self, "size", size)

        with pytest.raises(PluginError, match="Own: missing a required argument: 'size'"):
            Own()  # type: ignore[call-arg]
