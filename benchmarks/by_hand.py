"""``python -m benchmarks.by_hand``: one network trained by `fit`, by a tape, by backward and step.

784-128-10 at batch 32, microseconds a step, the best of several rounds; PyTorch's loop beside them
where it is installed.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec

import chainrule as cr
from chainrule import losses, optimizers

from .peers import ours
from .rows import by_name, task

_STEPS, _ROUNDS = 400, 7


def main() -> None:
    """Measure and print."""
    made = task(by_name("784-128-10/relu/x32"), _STEPS)
    batches = list(made.batches(_STEPS))
    loss_of = losses.SparseCategoricalCrossentropy(from_logits=True)

    def fresh() -> cr.Sequential:
        model = ours.network(made.row)
        model.set_weights(list(made.weights))
        return model

    taped, tape_optimizer = fresh(), optimizers.Adam(1e-3)
    stepped, step_optimizer = fresh(), optimizers.Adam(1e-3)
    step_optimizer.build(stepped.trainable_variables)

    def tape() -> float:
        for x, y in batches:
            with cr.GradientTape() as tape:
                loss = loss_of(y, taped(x, training=True))
            gradients = tape.gradient(loss, taped.trainable_variables)
            tape_optimizer.apply_gradients(zip(gradients, taped.trainable_variables, strict=True))
        return float(loss)

    def backward() -> float:
        for x, y in batches:
            step_optimizer.zero_grad()
            loss = loss_of(y, stepped(x, training=True))
            loss.backward()
            step_optimizer.step()
        return float(loss)

    ways: dict[str, Callable[[], object]] = {
        "fit": ours.Fit(made).epoch,
        "GradientTape": tape,
        "backward() and step()": backward,
    }
    if find_spec("torch"):
        ways["PyTorch, fused Adam"] = _pytorch(batches)
    best = {name: min(_timed(way) for _ in range(_ROUNDS)) for name, way in ways.items()}
    for name, seconds in best.items():
        print(f"{name:22} {1e6 * seconds / _STEPS:7.1f} us  {seconds / best['fit']:.2f} of fit")
    print(f"last losses: tape {tape():.6f}, backward {backward():.6f}")


def _timed(way: Callable[[], object]) -> float:
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


def _pytorch(batches: list[tuple[object, object]]) -> Callable[[], float]:
    import torch

    torch.set_num_threads(cr.num_threads())
    network = torch.nn.Sequential(
        torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
    )
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
    loss_of = torch.nn.CrossEntropyLoss()
    tensors = [(torch.as_tensor(x), torch.as_tensor(y)) for x, y in batches]

    def loop() -> float:
        for x, y in tensors:
            optimizer.zero_grad()
            loss = loss_of(network(x), y)
            loss.backward()
            optimizer.step()
        return loss.item()

    return loop


if __name__ == "__main__":
    main()
