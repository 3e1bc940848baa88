"""Answer a question with the SDK of Anthropic, with the memories that fit into the budget.

    pip install membudget anthropic
    ANTHROPIC_API_KEY=... python docs/examples/with_anthropic.py "Why is the nightly run slow?"

`ANTHROPIC_BASE_URL` names any other server that speaks the same, and `MODEL` its model.
"""

import os
import sys

from anthropic import Anthropic

from membudget import Client

AGENT = "specialists/dbt-expert"
MODEL = os.environ.get("MODEL", "claude-sonnet-4-5")
QUESTION = "Why is the nightly run slow?"
LONGEST_ANSWER = 1_024


def answer(client: Client, llm: Anthropic, question: str) -> str:
    """Ask for the budget, send what fits along, and book what it took."""
    with client.allocation(AGENT, question, model=MODEL, select="stored", render="xml") as run:
        reply = llm.messages.create(
            model=MODEL,
            max_tokens=LONGEST_ANSWER,
            system=f"What is known from earlier work:\n\n{run.context}",
            messages=[{"role": "user", "content": question}],
        )
        used = reply.usage  # input_tokens are those that no cache was asked for
        cached = (used.cache_creation_input_tokens or 0) + (used.cache_read_input_tokens or 0)
        run.finish(input_tokens=used.input_tokens + cached, output_tokens=used.output_tokens)
    return "".join(part.text for part in reply.content if part.type == "text")


def main() -> None:
    """Answer the question of the command line."""
    with Client() as client, Anthropic() as llm:
        print(answer(client, llm, " ".join(sys.argv[1:]) or QUESTION))


if __name__ == "__main__":
    main()
