"""Parsed Markdown as plain text: what the text part of a mail carries.

One line a paragraph (who sends it wraps it), a blank line between blocks, lists with "-" or numbers and
their further lines indented, quotations behind ">", links as "text (address)".
"""

from collections.abc import Iterator, Sequence

from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

_RULE = "* * *"


def plain(tokens: Sequence[Token]) -> str:
    """Return the text of parsed Markdown."""
    return _blocks(SyntaxTreeNode(tokens).children)


def _blocks(nodes: Sequence[SyntaxTreeNode], between: str = "\n\n") -> str:
    return between.join(text for node in nodes if (text := _block(node)))


def _block(node: SyntaxTreeNode) -> str:
    if node.type in {"bullet_list", "ordered_list"}:
        return _list(node)
    if node.type == "blockquote":
        return _behind("> ", "> ", _blocks(node.children))
    if node.type in {"code_block", "fence"}:
        return _behind("    ", "    ", node.content.rstrip("\n"))
    if node.type == "hr":
        return _RULE
    return "".join(_inline(node.children)).strip()


def _list(node: SyntaxTreeNode) -> str:
    # A tight list hides its paragraphs' tags; a loose one keeps a blank line between its entries.
    tight = all(part.hidden for entry in node.children for part in entry.children if part.type == "paragraph")
    between = "\n" if tight else "\n\n"
    first = int(node.attrs.get("start", 1))
    entries = []
    for number, entry in enumerate(node.children, first):
        mark = "- " if node.type == "bullet_list" else f"{number}. "
        entries.append(_behind(mark, " " * len(mark), _blocks(entry.children, between)))
    return between.join(entries)


def _behind(first: str, others: str, text: str) -> str:
    lines = text.split("\n")
    return "\n".join([first + lines[0], *(others + line if line else others.rstrip() for line in lines[1:])])


def _inline(nodes: Sequence[SyntaxTreeNode]) -> Iterator[str]:
    for node in nodes:
        if node.type in {"text", "code_inline"}:
            yield node.content
        elif node.type == "softbreak":
            yield " "
        elif node.type == "hardbreak":
            yield "\n"
        elif node.type == "link":
            yield _link(node)
        else:
            yield from _inline(node.children)


def _link(node: SyntaxTreeNode) -> str:
    address = str(node.attrs["href"])
    bare = address.removeprefix("mailto:")
    words = "".join(_inline(node.children)).strip()
    return bare if node.markup == "autolink" or words in {address, bare} else f"{words} ({bare})"
