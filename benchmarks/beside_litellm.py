"""Judge texts with LiteLLM's complexity router; runs in an environment where LiteLLM is installed.

Reads lines of `{"text", "repeats"}`, answers each with `{"us", "tier"}`: CPU of one judgement in
microseconds, and what it comes to. `detect.py --litellm` starts it.
"""

import json
import sys
import time

from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter


def main() -> None:
    """Answer line by line, so that the two detectors can be measured in turns."""
    router = ComplexityRouter(model_name="beside", litellm_router_instance=None)
    for line in sys.stdin:
        asked = json.loads(line)
        text, repeats = asked["text"], asked["repeats"]
        started = time.process_time()
        for _ in range(repeats):
            tier = router.classify(text)[0]
        us = (time.process_time() - started) / repeats * 1e6
        print(json.dumps({"us": us, "tier": tier.value}), flush=True)


if __name__ == "__main__":
    main()
