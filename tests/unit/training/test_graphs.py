import copy
import logging
import weakref

import pytest
import torch
from cpu_graphs import CpuGraph, cpu_graphs  # noqa: F401 a fixture
from tiny_gemma import LENGTHS, adapted
from torch.nn.parallel import DistributedDataParallel

from syntune.models import dropout as seeded
from syntune.models.attention import choose_attention, packed_arguments, row_bounds
from syntune.training.gemma.fuse import fuse_adapters
from syntune.training.gemma.graphs import RecordedLayers, _Graph, record_layers
from syntune.training.gemma.packs import Pack, Size


def recorded_layers(dropout=0.0, checkpointing=False):
    model = adapted(dropout)
    if checkpointing:
        model.base_model.model.activation_checkpointing_enable({"use_reentrant": False})
    fuse_adapters(model, compiled=False)
    return RecordedLayers(model.base_model.model, compiled=False)


def pack_of(layers, lengths, dropout=0.0, seed=1):
    torch.manual_seed(seed)
    lengths = torch.tensor(lengths)
    inputs = torch.randn(1, int(lengths.sum()), 32, dtype=torch.float64, requires_grad=True)
    places = torch.cat([torch.arange(length) for length in lengths])[None]
    cos, sin = layers.gemma.rotary_emb(inputs, position_ids=places)
    seeds = seeded.draw_seeds(14, torch.device("cpu")).view(2, 7, 2) if dropout else None
    return Pack(inputs, cos, sin, row_bounds(lengths), int(lengths.max()), seeds)


def gradients(layers, output, pack):
    return torch.autograd.grad(output.sin().sum(), [pack.hidden, *layers.trained])


@pytest.mark.usefixtures("cpu_graphs")
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_replays_take_each_packs_rows_and_masks_and_the_weights_as_they_are(dropout, checkpointing):
    layers = recorded_layers(dropout, checkpointing)
    for step, lengths in enumerate(([5, 1, 9], [20, 11], [3, 4], [12, 12, 4], [31, 14], [5, 1, 9])):
        pack = pack_of(layers, lengths, dropout, step)
        results = []
        for way in (layers, layers.run):
            output = way(pack)
            results.append([output, *gradients(layers, output, pack)])
        torch.testing.assert_close(*results, rtol=1e-6, atol=1e-6)
        with torch.no_grad():
            for weight in layers.trained:  # in place, as by an optimizer or from a checkpoint
                weight.mul_(0.9)
    assert not layers.fails
    assert len(layers.graphs) == 3


@pytest.mark.usefixtures("cpu_graphs")
def test_gradients_add_up_over_micro_batches():
    layers = recorded_layers()
    packs = [pack_of(layers, lengths, seed=number) for number, lengths in enumerate(([5, 9], [30, 10], [7]))]
    sums = []
    for way in (layers, layers.run):
        for pack in packs:
            way(pack).sin().sum().backward()
        sums.append([weight.grad for weight in layers.trained])
        for weight in layers.trained:
            weight.grad = None
    torch.testing.assert_close(*sums, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("cpu_graphs")
def test_two_forward_passes_before_a_backward_pass_are_refused():
    layers = recorded_layers()
    packs = [pack_of(layers, lengths) for lengths in ([5, 9], [30, 10])]
    outputs = [layers(pack) for pack in packs]
    gradients(layers, outputs[1], packs[1])
    with pytest.raises(RuntimeError, match="until the next forward pass only"):
        gradients(layers, outputs[0], packs[0])


@pytest.mark.usefixtures("cpu_graphs")
def test_recording_touches_no_node_that_others_keep_of_the_parameters():
    layers = recorded_layers()
    loss = layers(pack_of(layers, [5, 9])).sum()  # is still there while another graph is recorded
    kept, seen = [weight.view_as(weight).grad_fn.next_functions[0][0] for weight in layers.trained], []
    for node in kept:  # as DistributedDataParallel does
        node.register_prehook(seen.append)
    for weight in layers.trained:
        weight.register_hook(seen.append)
    layers(pack_of(layers, [20, 20]))
    assert len(layers.graphs) == 2
    assert not seen
    assert [getattr(*place) for place in layers.places] == layers.trained
    del loss


@pytest.mark.usefixtures("cpu_graphs")
@pytest.mark.parametrize("at", [torch.ops.aten.gelu.default, torch.ops.aten.gelu_backward.default])
def test_where_recording_fails_layers_run_without_it(monkeypatch, caplog, at):
    layers = recorded_layers()
    first, second = (pack_of(layers, lengths) for lengths in ([5, 9], [20, 20]))
    gradients(layers, layers(first), first)
    monkeypatch.setattr(CpuGraph, "fails_at", at)
    with caplog.at_level(logging.WARNING):
        found = gradients(layers, layers(second), second)
    assert [line.message for line in caplog.records] == [
        f"layers run without CUDA graphs, and slower: {at} cannot be recorded"
    ]
    torch.testing.assert_close(found, gradients(layers, layers.run(second), second))
    assert not layers.graphs
    assert layers.pool is None
    assert [getattr(*place) for place in layers.places] == layers.trained


@pytest.mark.usefixtures("cpu_graphs")
def test_recording_is_tried_out_on_one_layer(monkeypatch):
    layers, taken = recorded_layers(), []
    run = layers.run
    monkeypatch.setattr(
        layers, "run", lambda pack, some=None: taken.append(len(some or layers.gemma.layers)) or run(pack, some)
    )
    monkeypatch.setattr(CpuGraph, "fails_at", torch.ops.aten.gelu_backward.default)
    layers(pack_of(layers, [5, 9]))
    assert layers.fails
    assert taken == [2, 1, 2]  # warmed up, tried out, run without


@pytest.mark.usefixtures("cpu_graphs")
def test_without_memory_for_another_graph_a_wider_one_is_taken_or_the_others_go(monkeypatch):
    layers = recorded_layers()
    warm_up, tries = _Graph.warm_up, []

    def full(graph):
        tries.append(len(layers.graphs))
        if layers.graphs:
            raise torch.OutOfMemoryError("CUDA out of memory")
        warm_up(graph)

    monkeypatch.setattr(_Graph, "warm_up", full)
    outputs, graphs = [], []
    for lengths in ([20, 20], [10, 20], [10, 20], [30, 30], [20, 20]):
        pack = pack_of(layers, lengths)
        outputs.append(layers(pack))  # what is still there of a step must not keep a graph that is let go of
        graphs += map(weakref.ref, layers.graphs.values())
        found = gradients(layers, outputs[-1], pack)
        torch.testing.assert_close(found, gradients(layers, layers.run(pack), pack))
    assert tries == [0, 1, 1, 0]
    assert graphs[0]() is None
    assert [size.tokens for size in layers.graphs] == [64]
    assert layers.most == 1


@pytest.mark.usefixtures("cpu_graphs")
def test_a_graph_as_short_as_can_be_is_not_recorded_again(caplog):
    layers = recorded_layers()
    with caplog.at_level(logging.INFO):
        for lengths in ([5, 3], [5, 4], [6, 3, 2]):  # padded by far more than graphs should be
            layers(pack_of(layers, lengths))
    assert len(caplog.records) == len(layers.graphs) == 1


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("tokens", [15, 32])
def test_a_padded_pack_gives_what_the_pack_does(dropout, tokens):
    model = adapted(dropout, torch.float32)
    fuse_adapters(model, compiled=False)
    layers = RecordedLayers(model.base_model.model, compiled=False)
    inputs = torch.randn(1, 15, 32, generator=torch.Generator().manual_seed(1), requires_grad=True)
    places = torch.cat([torch.arange(length) for length in LENGTHS])[None]
    cos, sin = model.base_model.model.rotary_emb(inputs, position_ids=places)
    seeds = seeded.draw_seeds(14, torch.device("cpu")).view(2, 7, 2) if dropout else None
    pack = Pack(inputs, cos, sin, row_bounds(LENGTHS), 9, seeds)
    room = pack.room(Size(tokens, 6, 32))
    for part in (room.hidden, room.cos, room.sin):
        part.data.fill_(5.0)  # of a pack before
    room.fill(pack)
    found, wanted = layers.run(room)[:, :15], layers.run(pack)
    torch.testing.assert_close(found, wanted)
    gradients = [
        torch.autograd.grad(output.sin().sum(), [taken.hidden, *layers.trained])
        for output, taken in ((found, room), (wanted, pack))
    ]
    assert torch.equal(gradients[0][0][:, 15:], torch.zeros(1, tokens - 15, 32))
    torch.testing.assert_close([gradients[0][0][:, :15], *gradients[0][1:]], list(gradients[1]), rtol=1e-3, atol=1e-4)


def test_a_graph_holds_what_fits_beside_its_padding():
    first = Size(1000, 3, 400).rounded_up([])
    assert first == Size(1024, 8, 512)
    assert first.holds(Size(1024, 7, 512)) and first.holds(Size(600, 1, 50))
    assert not first.holds(Size(1024, 8, 512))  # no row is left for padding
    assert not first.holds(Size(500, 1, 50))  # padding would be longer than the longest row
    assert Size(2000, 2, 30).rounded_up([first]) == Size(2048, 8, 512)


on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")


def on_the_gpu(dropout, checkpointing=False):
    config = {"hidden_size": 256, "head_dim": 64, "intermediate_size": 512}
    model = adapted(dropout, torch.bfloat16, config=config).cuda()
    model.base_model.model.set_attn_implementation(choose_attention("auto", "cuda", torch.bfloat16).implementation)
    if checkpointing:
        model.base_model.model.activation_checkpointing_enable({"use_reentrant": False})
    assert fuse_adapters(model).is_whole
    return model


def rows_for(lengths):
    inputs = torch.randn(1, int(lengths.sum()), 256, device="cuda").bfloat16().requires_grad_()
    places = torch.cat([torch.arange(length) for length in lengths])[None].cuda()
    packed = packed_arguments(row_bounds(lengths).cuda(), int(lengths.max()))
    return {"inputs_embeds": inputs, "position_ids": places, "use_cache": False, **packed}


@on_gpu
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_recorded_layers_equal_those_that_are_not(dropout, checkpointing):
    model = on_the_gpu(dropout, checkpointing)
    plain = copy.deepcopy(model)
    fuse_adapters(plain)
    recorded, kept = record_layers(model), []
    for lengths in (LENGTHS, torch.tensor([200, 90]), torch.tensor([700, 600]), LENGTHS):
        results = []
        for which in (model, plain):
            torch.manual_seed(3)
            arguments = rows_for(lengths)
            if dropout:
                fixed = seeded.draw_seeds(14, torch.device("cuda"))
                queue = [fixed] if which is model else list(fixed.view(2, 7, 2))
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(seeded, "draw_seeds", lambda count, device, queue=queue: queue.pop(0))
                    output = which(**arguments)[0]
            else:
                output = which(**arguments)[0]
            kept.append(output)  # and with it autograd's nodes of the parameters, made on this stream
            trained = [parameter for parameter in which.parameters() if parameter.requires_grad]
            results.append(
                [output, *torch.autograd.grad(output.float().sin().sum(), [arguments["inputs_embeds"], *trained])]
            )
        for found, wanted in zip(*results, strict=True):
            assert (found.float() - wanted.float()).norm() <= 0.04 * wanted.float().norm()  # bfloat16: 0.021 was seen
    assert not recorded.fails
    assert [size.tokens for size in recorded.graphs] == [128, 384, 1408]


@on_gpu
def test_layers_are_recorded_under_distributed_data_parallel(tmp_path):
    torch.distributed.init_process_group("nccl", init_method=f"file://{tmp_path}/ranks", rank=0, world_size=1)
    try:
        model = on_the_gpu(0.3)
        recorded = record_layers(model)
        wrapped = DistributedDataParallel(model, find_unused_parameters=True)
        for lengths in (LENGTHS, torch.tensor([200, 90])):
            loss = wrapped(**rows_for(lengths))[0].float().sin().sum()
            loss.backward()
        assert not recorded.fails
        assert len(recorded.graphs) == 2
        assert all(weight.grad.isfinite().all() and weight.grad.any() for weight in recorded.trained)
    finally:
        torch.distributed.destroy_process_group()
