from __future__ import annotations

import pytest
import torch

from hst_core.graph import GatedGraph, cooccurrence_adjacency


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_no_step_is_the_identity() -> None:
    features = drawn(0, 2, 3, 4)
    assert torch.equal(GatedGraph(4, steps=0)(features, torch.rand(3, 3)), features)


def test_identity_adjacency_decouples_the_categories() -> None:
    graph, features = GatedGraph(4), drawn(0, 2, 3, 4)
    together = graph(features, torch.eye(3))
    for c in range(3):
        alone = graph(features[:, c : c + 1], torch.eye(1))
        torch.testing.assert_close(together[:, c : c + 1], alone)


def test_a_link_couples_both_ends() -> None:
    graph, features = GatedGraph(4, steps=1), drawn(0, 1, 3, 4)
    adjacency = torch.eye(3)
    adjacency[0, 1] = 0.5
    moved = (graph(features, adjacency) - graph(features, torch.eye(3))).abs().sum(dim=2)[0]
    assert moved[0] > 0
    assert moved[1] > 0
    assert moved[2] == 0


def test_one_step_is_the_gated_unit_written_out() -> None:
    graph, state, adjacency = GatedGraph(4, steps=1), drawn(0, 2, 3, 4), drawn(1, 3, 3)
    message = torch.cat([adjacency @ state, adjacency.T @ state], dim=2)
    weight, bias = graph.from_message.weight.split(4), graph.from_message.bias.split(4)
    gates = graph.gates_from_state.weight.split(4)
    update = torch.sigmoid(message @ weight[0].T + bias[0] + state @ gates[0].T)
    reset = torch.sigmoid(message @ weight[1].T + bias[1] + state @ gates[1].T)
    candidate = torch.tanh(
        message @ weight[2].T + bias[2] + (reset * state) @ graph.candidate_from_state.weight.T
    )
    expected = (1 - update) * state + update * candidate
    torch.testing.assert_close(graph(state, adjacency), expected)


def test_permuting_categories_permutes_the_states() -> None:
    graph, features, adjacency = GatedGraph(4), drawn(0, 2, 5, 4), drawn(1, 5, 5)
    order = torch.randperm(5, generator=torch.Generator().manual_seed(2))
    permuted = graph(features[:, order], adjacency[order][:, order])
    torch.testing.assert_close(permuted, graph(features, adjacency)[:, order])


def test_adjacency_counts_known_images_only() -> None:
    # Category 1 is present in four images; category 0 is known in two, present in one.
    labels = torch.tensor([[1, 1], [-1, 1], [0, 1], [0, 1], [1, 0]])
    adjacency = cooccurrence_adjacency(labels)
    assert adjacency[0, 1] == 0.5
    assert adjacency[1, 0] == 1.0


def test_adjacency_does_not_depend_on_the_known_proportion() -> None:
    generator = torch.Generator().manual_seed(0)
    first = torch.rand(20000, 1, generator=generator) < 0.5
    second = torch.rand(20000, 1, generator=generator) < torch.where(first, 0.8, 0.1)
    full = torch.cat([first, second], dim=1).int() * 2 - 1
    masked = full * (torch.rand(full.shape, generator=generator) < 0.3)
    torch.testing.assert_close(
        cooccurrence_adjacency(masked), cooccurrence_adjacency(full), atol=0.05, rtol=0
    )


def test_adjacency_of_nothing_known_is_the_identity() -> None:
    assert torch.equal(cooccurrence_adjacency(torch.zeros(3, 4).int()), torch.eye(4))
    assert torch.equal(cooccurrence_adjacency(torch.zeros(0, 2).int()), torch.eye(2))


def test_smoothing_draws_rare_links_towards_the_share_of_the_data_set() -> None:
    labels = torch.tensor([[1, 1], [-1, 0], [-1, 0], [-1, 0]])
    assert cooccurrence_adjacency(labels)[0, 1] == 1.0
    assert cooccurrence_adjacency(labels, smoothing=1.0)[0, 1].item() == pytest.approx(0.625)


def test_negative_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="steps must be 0 or more, got -1"):
        GatedGraph(4, steps=-1)
