# SPDX-License-Identifier: GPL-3.0-or-later
"""How well recordings agree: statistics with their own queries and keys, two recordings with each other, array by array.

needs: h5py numpy
"""
import h5py
import numpy as np

# Below this a difference counts as one of this size.
FLOORS = {"row_logsumexp": 1.0, "row_entropy": 0.1, "row_sink_mass": 1e-6, "row_max": 1e-6, "column_sum": 1e-6}


def relative_error(found, expected, floor):
    error = np.abs(found.astype(np.float64) - expected) / np.maximum(np.abs(expected), floor)
    return float("inf") if np.isnan(error).any() else float(error.max())


def statistics_of_head(queries, keys, scale, window):
    """The statistics of a head by their definition, in double."""
    logits = queries.astype(np.float64) @ keys.astype(np.float64).T * scale
    row, column = np.indices(logits.shape, sparse=True)
    hidden = column > row
    if window > 0:
        hidden |= column <= row - window
    logits[hidden] = -np.inf
    largest = logits.max(1)
    logsumexp = largest + np.log(np.exp(logits - largest[:, None]).sum(1))
    log_cells = logits - logsumexp[:, None]
    cells = np.exp(log_cells)
    return {"row_logsumexp": logsumexp, "row_entropy": -(cells * np.where(hidden, 0.0, log_cells)).sum(1),
            "row_sink_mass": cells[:, :4].sum(1), "row_max": cells.max(1), "column_sum": cells.sum(0)}


def statistics_errors(path):
    """Largest relative error of every statistic of the recording against queries and keys in it. Prompts alone, no generated tokens."""
    worst = dict.fromkeys(FLOORS, 0.0)
    with h5py.File(path) as recording:
        for sample in recording["samples"].values():
            for layer in sample["layers"].values():
                queries, keys = layer["queries"], layer["keys"]
                for head in range(queries.shape[0]):
                    expected = statistics_of_head(queries[head], keys[head * keys.shape[0] // queries.shape[0]],
                                                  sample.attrs["softmax_scale"], layer.attrs["window"])
                    for name, floor in FLOORS.items():
                        worst[name] = max(worst[name], relative_error(layer[name][head], expected[name], floor))
    return worst


def statistics_differences(path, other):
    """Largest relative difference of every statistic of two recordings of the same prompts."""
    worst = dict.fromkeys(FLOORS, 0.0)
    with h5py.File(path) as a, h5py.File(other) as b:
        for name, sample in a["samples"].items():
            for number, layer in sample["layers"].items():
                for field, floor in FLOORS.items():
                    expected = b["samples"][name]["layers"][number][field][()].astype(np.float64)
                    worst[field] = max(worst[field], relative_error(layer[field][()], expected, floor))
    return worst


def differing_arrays(path, other):
    """Names of the arrays of two recordings that are not the same to the last bit, or that one of them lacks."""

    def arrays(recording):
        found = {}
        recording.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
        return found

    def same(a, b):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        return a.size == 0 or (np.array_equal(a[()], b[()]) if a.dtype.hasobject or a.dtype.kind == "V" else a[()].tobytes() == b[()].tobytes())

    with h5py.File(path) as a, h5py.File(other) as b:
        ours, theirs = arrays(a), arrays(b)
        return sorted(name for name in ours.keys() | theirs.keys()
                      if name not in ours or name not in theirs or not same(ours[name], theirs[name]))
