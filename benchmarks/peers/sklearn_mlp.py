"""scikit-learn's ``MLPClassifier``, its ``partial_fit`` over arrays."""

from sklearn.neural_network import MLPClassifier

from ..rows import EPSILON, Task


class PartialFit:
    """An epoch is one call of ``partial_fit``, which goes through the data once in batches."""

    def __init__(self, task: Task) -> None:
        *hidden, last = task.row.network.layers
        self.task, self.classes = task, list(range(last.units))
        self.model = MLPClassifier(
            [layer.units for layer in hidden], activation=hidden[0].activation,
            solver="adam", learning_rate_init=task.row.rate, epsilon=EPSILON, alpha=0,
            batch_size=task.row.batch, shuffle=False,
        )  # fmt: skip
        self._train(*next(task.batches(1)))  # allocates the weights, which are then replaced
        del self.model._optimizer
        self.model.coefs_ = [kernel.copy() for kernel in task.weights[::2]]
        self.model.intercepts_ = [bias.copy() for bias in task.weights[1::2]]

    def losses(self, count: int) -> list[float]:
        return [self._train(x, y) for x, y in self.task.batches(count)]

    def epoch(self) -> None:
        self._train(self.task.x, self.task.y)

    def _train(self, x, y) -> float:
        return float(self.model.partial_fit(x, y, classes=self.classes).loss_)
