"""A zoo of training runs: some with a fault planted, some healthy, to measure the doctor with.

`python -m tests.zoo` trains them and prints what was planted and what `GradientDoctor` named.

Half of the runs are for tuning, the other half is set aside; a fixed hash of a run's name says
which. Rules and thresholds are changed after looks at the first half only.
"""
