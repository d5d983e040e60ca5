"""Every instance is in one deployment: a declared one that selects it, else its model's."""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor.deployments import Declared, Selector, deployments, read_deployments
from advisor.errors import SettingsError
from advisor.score.objective import PROFILES, objective_of
from advisor.summary import Instance, Node

NODES = (Node("h1", "gpu-a", labels={"k8s.node.name": "pool-1"}), Node("h2", "gpu-b"))


def instance(
    name: str, *, host: str = "h1", model: str | None = "llama", role: str = "unified"
) -> Instance:
    return Instance(name, host, "vllm", (), "d", model=model, role=role)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "deployments.toml"
    path.write_text(text)
    return path


def test_a_declaration_is_read_whole(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        [[deployment]]
        name = "chat"
        selector = { model = "meta-llama/*", host = "gpu-*" }
        profile = "interactive"
        tpot_p95_s = 0.03
        team = "search"
        usd_per_million_output_tokens_sold = 2
        """,
    )
    (one,) = read_deployments(path)
    assert one == Declared(
        name="chat",
        selector=Selector(model="meta-llama/*", host="gpu-*"),
        profile="interactive",
        tpot_p95_s=0.03,
        team="search",
        usd_per_million_output_tokens_sold=2.0,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[deploymnt]]\nname = 'a'", "did you mean 'deployment'"),
        (
            "[[deployment]]\nname = 'a'\nselector = { model = '*' }\ntem = 'x'",
            "did you mean 'team'",
        ),
        ("[[deployment]]\nname = 'a'\nselector = { modle = '*' }", "did you mean 'model'"),
        ("[[deployment]]\nname = 'a'", "selects nothing"),
        ("[[deployment]]\nselector = { model = '*' }", "has no name"),
        (
            "[[deployment]]\nname = 'a'\nselector = { model = '*' }\nprofile = 'fast'",
            "unknown profile 'fast'",
        ),
        (
            "[[deployment]]\nname = 'a'\nselector = { model = '*' }\nttft_p95_s = -1",
            "not a number above 0",
        ),
        ("[[deployment]]\nname = 'a'\nselector = { model = '*' }\n" * 2, "declared twice"),
        ("deployment = 1", r"write \[\[deployment\]\]"),
    ],
)
def test_a_mistake_is_said_in_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        read_deployments(written(tmp_path, text))


def test_the_first_that_selects_has_it() -> None:
    declared = (
        Declared("a", Selector(host="gpu-a")),
        Declared("b", Selector(model="lla*")),
    )
    found = deployments(declared, (instance("i1"), instance("i2", host="h2")), NODES)
    assert {one.name: one.instance_ids for one in found} == {"a": ("i1",), "b": ("i2",)}
    assert all(one.declared for one in found)


def test_labels_are_the_nodes() -> None:
    declared = (Declared("a", Selector(labels={"k8s.node.name": "pool-*"})),)
    found = deployments(declared, (instance("i1"), instance("i2", host="h2")), NODES)
    assert {one.name: one.instance_ids for one in found} == {"a": ("i1",), "llama": ("i2",)}


def test_what_is_not_declared_goes_by_model_and_role() -> None:
    serving = (
        instance("i1"),
        instance("i2", host="h2"),
        instance("i3", role="prefill"),
        instance("i4", model=None),
    )
    found = {one.name: one for one in deployments((), serving, NODES)}
    assert found["llama"].instance_ids == ("i1", "i2")
    assert found["llama (prefill)"].instance_ids == ("i3",)
    assert found["unknown model"].model is None
    assert not any(one.declared for one in found.values())


def test_a_declared_name_is_never_shared() -> None:
    declared = (Declared("llama", Selector(instance="i1")),)
    found = deployments(declared, (instance("i1"), instance("i2")), NODES)
    assert [one.name for one in found] == ["llama", "llama (undeclared)"]


@pytest.mark.parametrize("profile", [*PROFILES, "offline"])
def test_every_profile_comes_to_limits(profile: str) -> None:
    (found,) = deployments((Declared("a", Selector(instance="*"), profile),), (instance("i"),), ())
    limits = objective_of(found)
    expected = PROFILES.get(profile)
    assert limits.tpot_p95_s == (expected.tpot_p95_s if expected else 1.0)
    assert limits.ttft_p95_s == (expected.ttft_p95_s if expected else 3600.0)
