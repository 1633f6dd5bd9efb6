"""Where the reasoning that some models put before their answer ends."""

import re

from librarian.protocol.grammar import FLAGS, RESPONSE, tag_expression

_BLOCKS = re.compile(
    r"(?:\s*+(?:<think>.*?</think>|<thought>.*?</thought>|<thinking>.*?</thinking>|\[think\].*?\[/think\]))*+",
    FLAGS | re.DOTALL,
)
# Begins with the one character that both forms share: re skips to it, and “/” is rarer than “<”.
_CLOSER = re.compile(r"/(?:(?<=</)(?:think|thought|thinking)>|(?<=\[/)think\])", FLAGS)
_ROOT = re.compile(tag_expression({RESPONSE.root}, slash=""), FLAGS)
_ANSWER = re.compile(rf"\s*+(?:```\w*+\s*+)?<{RESPONSE.root}[\s>/]", FLAGS)


def end_of_reasoning(text: str) -> int:
    """Offset at which the answer begins; 0 where there is no reasoning, or none that is closed.

    Whole blocks at the start go first. Chat templates often open the block inside the prompt, so a closer
    with no opener ends reasoning too, even when the reasoning named the root: but only once, and only if the
    text does not begin with its answer, or a note that quotes `</think>` would be taken for reasoning.
    """
    blocks = _BLOCKS.match(text)
    end = blocks.end() if blocks else 0
    closer = _CLOSER.search(text, end)
    if closer is None:
        return end
    if not end and not _ANSWER.match(text):
        end = closer.end() if _ROOT.search(text, closer.end()) else 0
    opener = _ROOT.search(text, end)
    if opener:
        for closer in _CLOSER.finditer(text, end, opener.start()):
            end = closer.end()
    return end
