"""Judge texts with LiteLLM's complexity router; runs in an environment where LiteLLM is installed.

Reads lines of `{"text", "repeats"}`, answers each with the CPU of one judgement in microseconds.
`detect.py --litellm` starts it.
"""

import json
import sys
import time

from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter


def main() -> None:
    """Answer line by line."""
    router = ComplexityRouter(model_name="beside", litellm_router_instance=None)
    for line in sys.stdin:
        asked = json.loads(line)
        text, repeats = asked["text"], asked["repeats"]
        started = time.process_time()
        for _ in range(repeats):
            router.classify(text)
        print((time.process_time() - started) / repeats * 1e6, flush=True)


if __name__ == "__main__":
    main()
