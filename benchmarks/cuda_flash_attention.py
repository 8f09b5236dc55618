# SPDX-License-Identifier: GPL-3.0-or-later
"""Times torch's flash attention on the shape of cuda_attention_benchmark, and measures the memory of the whole matrix.

python3 benchmarks/cuda_flash_attention.py [heads] [kv heads] [tokens] [head_dim]
"""

import statistics
import sys

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention


def median_ms(call):
    """Median of 20 calls, after three."""
    times = []
    for i in range(23):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        call()
        end.record()
        end.synchronize()
        if i >= 3:
            times.append(begin.elapsed_time(end))
    return statistics.median(times)


def inputs(heads, kv_heads, tokens, dim, dtype):
    torch.manual_seed(0)
    q = torch.randn(1, heads, tokens, dim, device="cuda", dtype=dtype)
    k = torch.randn(1, kv_heads, tokens, dim, device="cuda", dtype=dtype).repeat_interleave(heads // kv_heads, 1)
    return q, k, torch.randn_like(k)


def fused_ms(q, k, v):
    """Flash attention; in float32, which it does not know, the memory-efficient kernel."""
    with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION if q.dtype == torch.float32 else SDPBackend.FLASH_ATTENTION):
        return median_ms(lambda: scaled_dot_product_attention(q, k, v, is_causal=True))


def main():
    given = [int(x) for x in sys.argv[1:]]
    heads, kv_heads, tokens, dim = given + [32, 8, 8192, 128][len(given):]
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    for dtype in (torch.bfloat16, torch.float16):
        q, k, v = inputs(heads, kv_heads, tokens, dim, dtype)
        ms = fused_ms(q, k, v)
        tflops = 4 * 0.5 * tokens * (tokens + 1) * heads * dim / ms / 1e9
        print(f"{str(dtype):16} flash attention {ms:.3f} ms, {tflops:.1f} TFLOP/s")

        def eager():
            scores = (q @ k.transpose(-1, -2)) * dim**-0.5
            mask = torch.ones(tokens, tokens, dtype=torch.bool, device="cuda").tril()
            weights = scores.masked_fill_(~mask, float("-inf")).float().softmax(-1).to(dtype)
            return weights @ v, weights

        torch.cuda.reset_peak_memory_stats()
        try:
            ms = median_ms(eager)
            print(f"{str(dtype):16} with the matrix  {ms:.3f} ms, {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")
        except torch.OutOfMemoryError:
            print(f"{str(dtype):16} with the matrix  out of memory")


if __name__ == "__main__":
    main()
