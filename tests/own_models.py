"""Models as users write them, for several tests."""

import chainrule as cr
from chainrule import layers


class Two(cr.Model):
    """Takes two inputs."""

    def __init__(self):
        super().__init__()
        self.a, self.b = layers.Dense(2), layers.Dense(2)

    def call(self, inputs):
        a, b = inputs.values() if isinstance(inputs, dict) else inputs
        return self.a(a) + self.b(b)
