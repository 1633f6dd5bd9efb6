"""Small vaults made for the tests of the offline librarian."""

import random

from librarian.offline import Document

TOPICS = {
    "billing": "invoice payment refund customer card ledger amount receipt tax account".split(),  # noqa: SIM905
    "database": "postgres index vacuum query replica table lock migration backup schema".split(),  # noqa: SIM905
    "hiring": "interview candidate offer salary resume recruiter role question panel feedback".split(),  # noqa: SIM905
    "mobile": "android phone battery screen swipe install store crash tablet notification".split(),  # noqa: SIM905
}


def note(path: str, body: str, *tags: str, title: str | None = None, aliases: tuple[str, ...] = ()) -> Document:
    stem = path.rpartition("/")[2].removesuffix(".md")
    return Document(path, path, stem if title is None else title, body, tags, aliases)


def tagged_vault(per_topic: int = 12, seed: int = 7) -> list[Document]:
    """Notes of four topics in their own words, each tagged with its topic."""
    chance = random.Random(seed)
    return [
        note(f"{topic}/{topic} {number}.md", prose(chance, words), topic)
        for topic, words in TOPICS.items()
        for number in range(per_topic)
    ]


def prose(chance: random.Random, words: list[str], sentences: int = 6) -> str:
    return " ".join(" ".join(chance.choices(words, k=7)).capitalize() + "." for _ in range(sentences))


def linked_vault(notes: int = 240, seed: int = 3) -> list[Document]:
    """Notes in which products are linked whenever they are named, and the everyday word “harbour”, although it is
    the title of a note, nearly never is."""
    chance = random.Random(seed)
    products = [f"{first} {second}" for first in ("Quay", "Tide", "Berth") for second in ("Pay", "Desk", "Watch")]
    documents = [note(f"products/{name}.md", f"What {name} does.") for name in [*products, "harbour"]]
    for number in range(notes):
        one, two = chance.sample(products, 2)
        harbour = "[[harbour]]" if number % 40 == 0 else "harbour"
        sentences = [
            f"We met in the {harbour}.",
            f"Somebody spoke of [[{one}]].",
            f"Then [[{two}|{two.lower()}]] was fixed.",
            *(prose(chance, chance.choice(list(TOPICS.values())), 1) for _ in range(chance.randrange(6))),
        ]
        chance.shuffle(sentences)
        body = " ".join(sentences)
        documents.append(note(f"diary/day {number}.md", body))
    return documents
