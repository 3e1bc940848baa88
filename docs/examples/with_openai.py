"""Answer a question with the SDK of OpenAI, with the memories that fit into the budget.

    pip install membudget openai
    OPENAI_API_KEY=... python docs/examples/with_openai.py "Why is the nightly run slow?"

`OPENAI_BASE_URL` names any other server that speaks the same: vLLM, Ollama, LiteLLM; `MODEL` its
model.
"""

import os
import sys

from openai import OpenAI

from membudget import Client

AGENT = "specialists/dbt-expert"
MODEL = os.environ.get("MODEL", "gpt-4o-mini")
QUESTION = "Why is the nightly run slow?"


def answer(client: Client, llm: OpenAI, question: str) -> str:
    """Ask for the budget, send what fits along, and book what it took."""
    with client.allocation(AGENT, question, model=MODEL, select="stored", render="markdown") as run:
        reply = llm.chat.completions.create(
            model=MODEL,
            messages=[
                {"role": "system", "content": f"What is known from earlier work:\n\n{run.context}"},
                {"role": "user", "content": question},
            ],
        )
        if reply.usage is not None:
            run.finish(
                input_tokens=reply.usage.prompt_tokens,
                output_tokens=reply.usage.completion_tokens,
            )
    return reply.choices[0].message.content or ""


def main() -> None:
    """Answer the question of the command line."""
    with Client() as client, OpenAI() as llm:
        print(answer(client, llm, " ".join(sys.argv[1:]) or QUESTION))


if __name__ == "__main__":
    main()
