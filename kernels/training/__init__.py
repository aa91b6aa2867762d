"""Whole networks over many rows: blocks of rows forward and backward, steps, and each thread's part of whole epochs.

minibatches.py, replicas.py and slices.py are the ways to train by mini-batches, full_batch.py that with all rows in
every step; inference.py predicts. rows.py and passes.py bring rows through a network, and what a step is made of is in
parts.py, batch_weights.py and steps.py.
"""
